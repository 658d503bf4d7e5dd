-- From where on each channel was judged again, by the names of keys.
SELECT q.key, s.c, s.n FROM starts s JOIN order_keys q ON q.k = s.k;
