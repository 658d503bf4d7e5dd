-- Of `older` those that lie behind where their channel is judged again from.
SELECT o.* FROM older o JOIN starts s ON s.k = o.k AND s.c = o.c AND o.n > s.n;
