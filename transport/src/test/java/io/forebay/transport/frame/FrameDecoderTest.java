package io.forebay.transport.frame;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Framing: golden bytes, every way of cutting the stream, and garbage. */
final class FrameDecoderTest {
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 1 << 20, 2);
  private final List<String> frames = new ArrayList<>();

  @AfterEach
  void close() {
    env.close();
  }

  @Test
  void anErrorFrameHasTheBytesOfTheDrawing() {
    byte[] frame =
        FrameHeader.encode(
            FrameHeader.FIRST_VERSION,
            FrameType.ERROR,
            0,
            7,
            new FrameBody.Fault(ErrorCode.NOT_FOUND, "no").encode(),
            0,
            0);
    assertThat(HexFormat.of().formatHex(frame))
        .isEqualTo(
            "46425957010400000000000000000007000000040000000000000000" + "ff5b8be1" + "00036e6f");
  }

  @Test
  void bodiesComeBackAsTheyWent() {
    var hello =
        new FrameBody.Hello(
            2,
            new WireVersions(1, 3),
            FrameBody.Hello.CLIENT,
            new byte[32],
            new byte[32],
            "c",
            "n1");
    FrameBody.Hello came = FrameBody.Hello.decode(hello.encode());
    assertThat(came.node()).isEqualTo("n1");
    assertThat(came.versions()).isEqualTo(new WireVersions(1, 3));
    var credit = new FrameBody.Credit(9, 70_000, List.of(3, 2, 1));
    assertThat(FrameBody.Credit.decode(credit.encode())).isEqualTo(credit);
    var finish = new FrameBody.Finish(5, -6);
    assertThat(FrameBody.Finish.decode(finish.encode())).isEqualTo(finish);
    var fault = new FrameBody.Fault(ErrorCode.STALE_EPOCH, "group 3");
    assertThat(FrameBody.Fault.decode(fault.encode())).isEqualTo(fault);
    assertThatThrownBy(() -> FrameBody.Credit.decode(new byte[9 + 3]))
        .isInstanceOf(ForebayException.class);
  }

  @Test
  void aHelloOfTheFirstVersionHasTheBytesItAlwaysHad() {
    var hello =
        new FrameBody.Hello(
            1, WireVersions.OURS, FrameBody.Hello.CLIENT, new byte[32], new byte[32], "", "");
    assertThat(HexFormat.of().formatHex(hello.encode())).startsWith("0100000001" + "00");
  }

  @Test
  void anAgreedVersionIsTheOnlyOneThatIsRead() {
    var decoder = new FrameDecoder(new Collector(), 4096);
    decoder.trust(2);
    feed(decoder, FrameHeader.encode(2, FrameType.PING, 0, 0, new byte[0], 0, 0));
    assertThat(frames).hasSize(1);
    assertThatThrownBy(
            () -> feed(decoder, FrameHeader.encode(1, FrameType.PING, 0, 0, new byte[0], 0, 0)))
        .hasMessageContaining("speaks wire version 1, this connection speaks 2");
  }

  @Test
  void howeverTheStreamIsCutTheFramesAreTheSame() {
    byte[] stream = someFrames();
    List<String> expected = null;
    for (long seed = 0; seed < 300; seed++) {
      frames.clear();
      var random = new Random(seed);
      feed(trusted(), stream, 1 + random.nextInt(seed % 3 == 0 ? 40 : 100_000), random);
      expected = expected == null ? List.copyOf(frames) : expected;
      assertThat(frames).as("seed %s", seed).isEqualTo(expected);
      assertThat(frames).hasSize(6);
    }
    assertThat(pool.available()).isEqualTo(2);
  }

  @Test
  void withoutASlabItWaitsAndLosesNothing() {
    var first = pool.take();
    var second = pool.take();
    var decoder = trusted();
    ByteBuffer stream = ByteBuffer.wrap(someFrames());
    int safety = 0;
    while (stream.hasRemaining() && safety++ < 1_000_000) {
      if (decoder.waitingFor().isPresent()) {
        decoder.provide(first.retain());
      }
      readOnce(decoder, stream, Integer.MAX_VALUE);
    }
    if (decoder.waitingFor().isPresent()) {
      decoder.provide(first.retain());
    }
    assertThat(frames).hasSize(6);
    first.release();
    second.release();
    assertThat(pool.available()).isEqualTo(2);
  }

  @Test
  void whatIsNoFrameIsRefusedByName() {
    assertRefused(new byte[32], "bad magic");
    assertRefused(header(9, 2, 0, 0), "wire version 9");
    assertRefused(header(1, 99, 0, 0), "unknown frame type 99");
    assertRefused(header(1, 2, 1 << 30, 0), "oversize body");
    assertRefused(header(1, 2, -1, 0), "oversize body");
    assertRefused(header(1, 6, 0, (1 << 20) + 1), "oversize payload");
    byte[] flipped =
        FrameHeader.encode(FrameHeader.FIRST_VERSION, FrameType.PING, 0, 0, new byte[0], 0, 0);
    flipped[9] ^= 1;
    assertRefused(flipped, "checksum of header and body");
  }

  @Test
  void aStrangerMaySayHelloOnlyAndBriefly() {
    var decoder = new FrameDecoder(new Collector(), 4096);
    assertThatThrownBy(() ->
            feed(
                decoder,
                FrameHeader.encode(
                    FrameHeader.FIRST_VERSION, FrameType.PING, 0, 0, new byte[0], 0, 0)))
        .hasMessageContaining("not authenticated");
  }

  @Test
  void aPayloadWithAWrongChecksumIsRefused() {
    byte[] head =
        FrameHeader.encode(
            FrameHeader.FIRST_VERSION, FrameType.SLICE, 0, 1, new byte[4], 100, 12345);
    var decoder = trusted();
    assertThatThrownBy(
            () -> {
              feed(decoder, head);
              feed(decoder, new byte[100]);
            })
        .hasMessageContaining("checksum of a payload");
    decoder.close();
    assertThat(pool.available()).isEqualTo(2);
  }

  @Test
  void garbageNeverDoesMoreThanEndTheConnection() {
    byte[] good = someFrames();
    for (long seed = 0; seed < 3000; seed++) {
      var random = new Random(seed);
      byte[] bad = good.clone();
      int flips = 1 + random.nextInt(4);
      for (int i = 0; i < flips; i++) {
        int at = random.nextInt(random.nextBoolean() ? 200 : bad.length);
        bad[at] = (byte) random.nextInt(256);
      }
      var decoder = trusted();
      try {
        feed(decoder, bad, 1 + random.nextInt(50_000), random);
      } catch (ForebayException refused) {
        assertThat(refused.code()).isIn(ErrorCode.CORRUPT, ErrorCode.WRONG_VERSION);
      }
      decoder.close();
      assertThat(pool.available()).as("seed %s", seed).isEqualTo(2);
    }
  }

  private void assertRefused(byte[] bytes, String why) {
    assertThatThrownBy(() -> feed(trusted(), bytes))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining(why);
  }

  private static byte[] header(int version, int type, int body, int payload) {
    return ByteBuffer.allocate(32)
        .putInt(FrameHeader.MAGIC)
        .put((byte) version)
        .put((byte) type)
        .putShort((short) 0)
        .putLong(0)
        .putInt(body)
        .putInt(payload)
        .array();
  }

  private static byte[] someFrames() {
    var out = new ByteArrayOutputStream();
    frame(out, FrameType.CALL, "a question", 0);
    frame(out, FrameType.SLICE, "at 0", 70_000);
    frame(out, FrameType.SLICE, "at 1", 90_001);
    frame(out, FrameType.CALL, "x".repeat(40_000), 17);
    frame(out, FrameType.PING, "", 0);
    frame(out, FrameType.ABORT, "enough", 0);
    return out.toByteArray();
  }

  private static void frame(ByteArrayOutputStream out, FrameType type, String body, int payload) {
    var bytes = new Synthetic(payload, 0, payload);
    out.writeBytes(
        FrameHeader.encode(
            FrameHeader.FIRST_VERSION,
            type,
            0,
            5,
            body.getBytes(UTF_8),
            payload,
            payload == 0 ? 0 : bytes.crc32c()));
    out.writeBytes(bytes.toArray());
  }

  private FrameDecoder trusted() {
    var decoder = new FrameDecoder(new Collector(), 4096);
    decoder.trust(FrameHeader.FIRST_VERSION);
    return decoder;
  }

  private static void feed(FrameDecoder decoder, byte[] bytes) {
    feed(decoder, bytes, Integer.MAX_VALUE, new Random(0));
  }

  private static void feed(FrameDecoder decoder, byte[] bytes, int most, Random random) {
    ByteBuffer stream = ByteBuffer.wrap(bytes);
    while (stream.hasRemaining()) {
      readOnce(decoder, stream, most == Integer.MAX_VALUE ? most : 1 + random.nextInt(most));
    }
  }

  /** What a socket does. */
  private static void readOnce(FrameDecoder decoder, ByteBuffer stream, int most) {
    if (decoder.waitingFor().isPresent()) {
      return;
    }
    ByteBuffer target = decoder.destination();
    int count = Math.min(most, Math.min(target.remaining(), stream.remaining()));
    target.put(target.position(), stream, stream.position(), count);
    stream.position(stream.position() + count);
    decoder.advance(count);
  }

  private final class Collector implements FrameDecoder.Receiver {
    @Override
    public Optional<SlabPool> payloadPool(FrameHeader header) {
      return Optional.of(pool);
    }

    @Override
    public void frame(FrameHeader header, byte[] body, Bytes payload) {
      int length = 0;
      if (payload != null) {
        length = payload.length();
        assertThat(payload.toArray()).isEqualTo(new Synthetic(length, 0, length).toArray());
        payload.release();
      }
      frames.add(header.type() + " " + body.length + " " + length);
    }

    @Override
    public boolean ready() {
      return true;
    }
  }
}
