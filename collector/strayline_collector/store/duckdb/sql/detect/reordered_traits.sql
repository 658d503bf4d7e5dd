SELECT environment, broker, vhost, name AS queue, is_stream, is_quorum, single_active, max_priority, declared_ns FROM queue_traits WHERE to_ns = 9223372036854775807;
