UPDATE rolled SET spans = spans - $dropped;
