-- What goes on with other numbers is written anew.
DELETE FROM level_facts WHERE document = $document AND to_ns IS NULL AND (vhost, queue) IN (SELECT (vhost, queue) FROM levels);
