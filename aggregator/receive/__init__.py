"""Stage "receive": batches from MQTT or from JetStream, as many as there is room for, fair to every gateway."""
