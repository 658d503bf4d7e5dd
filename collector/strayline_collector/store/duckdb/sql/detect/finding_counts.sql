SELECT count(*) FILTER (WHERE status <> 'retracted') AS findings, count(*) FILTER (WHERE status = 'provisional') AS provisional FROM findings;
