import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;

public class Machines {
  static <T> void print(Schema schema, T value) throws Exception {
    ByteBuffer bytes = new BinaryMessageEncoder<T>(GenericData.get(), schema).encode(value);
    byte[] copy = new byte[bytes.remaining()];
    bytes.get(copy);
    System.out.println(HexFormat.of().formatHex(copy));
  }

  static GenericRecordBuilder zero(Schema schema, long ts) {
    Schema state = schema.getField("state").schema();
    return new GenericRecordBuilder(schema)
        .set("ts", ts)
        .set("line", "")
        .set("state", new GenericData.EnumSymbol(state, "stopped"))
        .set("cycles", 0L)
        .set("offset", 0)
        .set("alarm", false);
  }

  public static void main(String[] args) throws Exception {
    Schema schema = new Schema.Parser().parse(Path.of(args[0]).toFile());
    long ts = Long.parseLong(args[1]);
    Schema motor = schema.getField("motor").schema().getTypes().get(1);
    print(
        schema,
        zero(schema, ts)
            .set("temperature", 21.3f)
            .set("line", "S\u00fcd-3")
            .set("state", new GenericData.EnumSymbol(schema.getField("state").schema(), "running"))
            .set("motor", new GenericRecordBuilder(motor).set("speed", 1450L).set("load", 0.75f).build())
            .set("cycles", (1L << 53) - 2)
            .set("offset", -7)
            .set("alarm", true)
            .build());
    print(
        Schema.createArray(schema),
        List.of(
            zero(schema, ts + 1).build(),
            zero(schema, ts + 2).set("temperature", 0f).set("offset", Integer.MAX_VALUE).build()));
  }
}
