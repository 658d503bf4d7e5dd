-- Whether a resource may hold a text.
SELECT many_resources() OR coalesce(bool_or(resource IS NULL OR contains(resource, $text)), false) AS may FROM resources;
