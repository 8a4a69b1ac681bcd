import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The Java clients in one loop: poll, transform, send; once a second flush and commit. At least once, in order, no parallelism,
 * and it ends at the first failure.
 *
 * <p>Arguments: servers, input, output, group, handler (pass or validate).
 */
final class Plain {
    private static final long COMMIT_INTERVAL_MS = 1000;

    private Plain() {}

    public static void main(String[] args) {
        String servers = args[0], input = args[1], output = args[2], group = args[3], handler = args[4];
        Map<String, Object> reading = Map.of(
            "bootstrap.servers", servers, "group.id", group, "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "isolation.level", "read_committed", "max.poll.records", 2000);
        Map<String, Object> writing = Map.of(
            "bootstrap.servers", servers, "acks", "all", "enable.idempotence", true, "linger.ms", 5,
            "batch.size", 262_144, "buffer.memory", 67_108_864L);
        try (var consumer = new KafkaConsumer<>(reading, new ByteArrayDeserializer(), new ByteArrayDeserializer());
                var producer = new KafkaProducer<>(writing, new ByteArraySerializer(), new ByteArraySerializer())) {
            consumer.subscribe(List.of(input));
            long committed = System.currentTimeMillis();
            while (true) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    byte[] value = Work.apply(handler, record.value());
                    producer.send(
                        new ProducerRecord<>(output, null, record.timestamp(), record.key(), value, record.headers()),
                        (done, error) -> {
                            if (error != null) {
                                error.printStackTrace();
                                Runtime.getRuntime().halt(1);
                            }
                        });
                }
                if (System.currentTimeMillis() - committed >= COMMIT_INTERVAL_MS) {
                    producer.flush();
                    consumer.commitSync();
                    committed = System.currentTimeMillis();
                }
            }
        }
    }
}
