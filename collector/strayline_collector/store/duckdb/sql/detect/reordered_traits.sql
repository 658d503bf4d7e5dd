SELECT environment, broker, vhost, name AS queue, is_stream, is_quorum, single_active, max_priority, declared_ns FROM queue_traits;
