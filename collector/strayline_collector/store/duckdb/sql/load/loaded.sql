INSERT INTO loaded VALUES ($batch, $segment, $byte_offset, $loaded_ns, $spans, $traces, $about_since);
