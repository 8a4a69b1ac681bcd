import java.nio.file.Files;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams without state: stream, mapValues, to. At least once, commits once a second, two stream threads.
 *
 * <p>Arguments: servers, input, output, group, handler (pass or validate), and at_least_once (default) or exactly_once_v2.
 */
final class Streams {
    private Streams() {}

    public static void main(String[] args) throws Exception {
        String servers = args[0], input = args[1], output = args[2], group = args[3], handler = args[4];
        String guarantee = args.length > 5 ? args[5] : "at_least_once";
        Properties settings = new Properties();
        settings.put("bootstrap.servers", servers);
        settings.put("application.id", group);
        settings.put("processing.guarantee", guarantee);
        settings.put("commit.interval.ms", guarantee.equals("at_least_once") ? 1000 : 100);
        settings.put("num.stream.threads", 2);
        settings.put("state.dir", Files.createTempDirectory("bench-streams").toString());
        settings.put("consumer.auto.offset.reset", "earliest");
        settings.put("producer.acks", "all");
        settings.put("producer.linger.ms", 5);
        settings.put("producer.batch.size", 262_144);
        StreamsBuilder builder = new StreamsBuilder();
        var bytes = Serdes.ByteArray();
        builder.stream(input, Consumed.with(bytes, bytes))
            .mapValues(value -> Work.apply(handler, value))
            .to(output, Produced.with(bytes, bytes));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        Thread.currentThread().join();
    }
}
