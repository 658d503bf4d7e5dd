SELECT id, severity, told_to_ns, event, noticed_ns FROM notices WHERE receiver = $receiver AND waiting ORDER BY noticed_ns, id;
