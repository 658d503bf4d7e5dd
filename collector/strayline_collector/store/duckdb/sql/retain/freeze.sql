-- What rests on the loads that go is not judged anew.
INSERT INTO frozen_findings
SELECT DISTINCT finding_id FROM finding_verdicts v
WHERE v.batch <= $until AND NOT EXISTS (SELECT 1 FROM frozen_findings f WHERE f.id = v.finding_id);
