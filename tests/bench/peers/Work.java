import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;

/** What a Java peer does with a value: nothing, or what the processor's built-in transform does, as one writes it with Jackson. */
final class Work {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration OLDEST = Duration.ofHours(24);
    private static final int SHORT = 10;

    private Work() {}

    static byte[] apply(String handler, byte[] value) {
        return handler.equals("validate") ? validate(value) : value;
    }

    private static byte[] validate(byte[] value) {
        try {
            ObjectNode order = (ObjectNode) JSON.readTree(value);
            Instant time = Instant.parse(order.required("timestamp").textValue());
            if (order.required("id").textValue().isEmpty() || time.isBefore(Instant.now().minus(OLDEST))) {
                throw new IllegalArgumentException("a record of the input is not valid");
            }
            String data = order.required("data").textValue();
            order.put("status", data.codePointCount(0, data.length()) > SHORT ? "valid" : "invalid");
            return JSON.writeValueAsBytes(order);
        } catch (IOException e) {
            throw new IllegalArgumentException("a record of the input is no JSON", e);
        }
    }
}
