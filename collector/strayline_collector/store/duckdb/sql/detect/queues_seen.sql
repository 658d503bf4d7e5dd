-- Every queue that something was delivered from.
SELECT DISTINCT environment, broker, vhost, queue FROM delivery_facts WHERE queue IS NOT NULL;
