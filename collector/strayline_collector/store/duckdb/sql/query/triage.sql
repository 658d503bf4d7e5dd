UPDATE findings SET triage = $triage, muted_until_ns = $muted_until_ns, note = $note, updated_ns = $now_ns WHERE id = $id;
