package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class AwsChunkedDecoderTest {
  private static final String SEED =
      "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
  private static final String SCOPE = "20130524/us-east-1/s3/aws4_request";
  private static final byte[] KEY =
      Sha256.signingKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3");

  /**
   * The example of "Signature Calculations for the Authorization Header: Transferring Payload in
   * Multiple Chunks" in the Amazon S3 API reference.
   */
  @Test
  void theExampleOfSignedChunksVerifies() {
    var body = new ByteArrayOutputStream();
    chunk(
        body,
        "a".repeat(65536),
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    chunk(
        body, "a".repeat(1024), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    chunk(body, "", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
    byte[] wire = body.toByteArray();
    assertThat(wire).hasSize(66824);
    for (int seed = 0; seed < 20; seed++) {
      assertThat(decode(Caller.Payload.SIGNED_CHUNKS, wire, new Random(seed)).content)
          .isEqualTo("a".repeat(66560));
    }
  }

  @Test
  void unsignedChunksAndTheirTrailer() {
    String wire = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
    Decoded decoded =
        decode(
            Caller.Payload.UNSIGNED_CHUNKS_AND_TRAILER,
            wire.getBytes(StandardCharsets.ISO_8859_1),
            new Random(1));
    assertThat(decoded.content).isEqualTo("hello world");
    assertThat(decoded.trailers).isEqualTo(Map.of("x-amz-checksum-crc32", "DUoRhQ=="));
  }

  @Test
  void aSignedTrailerVerifiesInBothFormsThatAreAbout() {
    for (String separator : new String[] {"\r\n", "\n\r\n"}) {
      byte[] wire = signedTrailer("hello", "x-amz-checksum-crc32c", "sOO8/Q==", separator);
      Decoded decoded = decode(Caller.Payload.SIGNED_CHUNKS_AND_TRAILER, wire, new Random(2));
      assertThat(decoded.content).isEqualTo("hello");
      assertThat(decoded.trailers).containsEntry("x-amz-checksum-crc32c", "sOO8/Q==");
    }
  }

  /** One changed byte anywhere: refused, or (in what is not signed) the same content. */
  @Test
  void aChangedByteNeverChangesWhatIsAccepted() {
    byte[] wire = signedTrailer("hello, world", "x-amz-checksum-crc32c", "abcdef==", "\r\n");
    for (int seed = 0; seed < 20_000; seed++) {
      var random = new Random(seed);
      byte[] changed = wire.clone();
      changed[random.nextInt(changed.length)] = (byte) random.nextInt(256);
      try {
        Decoded decoded = decode(Caller.Payload.SIGNED_CHUNKS_AND_TRAILER, changed, random);
        assertThat(decoded.content).as("seed %d", seed).isEqualTo("hello, world");
        assertThat(decoded.trailers.values()).as("seed %d", seed).containsExactly("abcdef==");
      } catch (ForebayException | S3Refusal refused) {
        // as it should be
      }
    }
  }

  /** Any rubbish: refused by name, with bounded work; never another exception. */
  @Test
  void rubbishIsRefusedByName() {
    String alphabet = "0123456789abcdefF;=:\r\n\r\n\r\n x-amz";
    for (int seed = 0; seed < 20_000; seed++) {
      var random = new Random(seed);
      var text = new StringBuilder("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
      for (int i = 0; i < 1 + random.nextInt(8); i++) {
        int at = random.nextInt(text.length());
        char c = alphabet.charAt(random.nextInt(alphabet.length()));
        switch (random.nextInt(3)) {
          case 0 -> text.insert(at, c);
          case 1 -> text.deleteCharAt(at);
          default -> text.setCharAt(at, c);
        }
      }
      try {
        decode(
            Caller.Payload.UNSIGNED_CHUNKS_AND_TRAILER,
            text.toString().getBytes(StandardCharsets.ISO_8859_1),
            random);
      } catch (ForebayException | S3Refusal refused) {
        assertThat(refused.getMessage()).as("seed %d", seed).isNotBlank();
      }
    }
  }

  @Test
  void everyTruncationIsIncomplete() {
    byte[] wire = signedTrailer("hello", "x-amz-checksum-crc32c", "sOO8/Q==", "\r\n");
    for (int length = 0; length < wire.length; length++) {
      byte[] cut = Arrays.copyOf(wire, length);
      assertThatThrownBy(() -> decode(Caller.Payload.SIGNED_CHUNKS_AND_TRAILER, cut, new Random(3)))
          .isInstanceOfSatisfying(
              ForebayException.class,
              refusal -> assertThat(refusal.code()).isEqualTo(ErrorCode.INCOMPLETE_BODY));
    }
  }

  private record Decoded(String content, Map<String, String> trailers) {}

  private static Decoded decode(Caller.Payload payload, byte[] wire, Random random) {
    var signing = new Caller.ChunkSigning(KEY, "20130524T000000Z", SCOPE, SEED);
    var decoder =
        new AwsChunkedDecoder(
            new Caller(false, Rights.ALL, payload, Optional.empty(), Optional.of(signing)));
    var content = new ByteArrayOutputStream();
    for (int offset = 0; offset < wire.length; ) {
      int length = Math.min(wire.length - offset, 1 + random.nextInt(20_000));
      if (random.nextBoolean()) {
        length = Math.min(length, 1 + random.nextInt(7));
      }
      decoder.feed(
          ByteBuffer.wrap(wire, offset, length).slice(),
          run -> {
            var copy = new byte[run.remaining()];
            run.get(copy);
            content.writeBytes(copy);
          });
      offset += length;
    }
    Map<String, String> trailers = decoder.finish();
    return new Decoded(content.toString(StandardCharsets.ISO_8859_1), trailers);
  }

  private static void chunk(ByteArrayOutputStream body, String content, String signature) {
    body.writeBytes(
        (Integer.toHexString(content.length())
                + ";chunk-signature="
                + signature
                + "\r\n"
                + content
                + "\r\n")
            .getBytes(StandardCharsets.ISO_8859_1));
  }

  private static byte[] signedTrailer(String content, String name, String value, String separator) {
    var body = new ByteArrayOutputStream();
    String first = sign("AWS4-HMAC-SHA256-PAYLOAD", SEED, Sha256.EMPTY_HEX + "\n" + hash(content));
    String last =
        sign("AWS4-HMAC-SHA256-PAYLOAD", first, Sha256.EMPTY_HEX + "\n" + Sha256.EMPTY_HEX);
    String trailer = sign("AWS4-HMAC-SHA256-TRAILER", last, hash(name + ":" + value + "\n"));
    chunk(body, content, first);
    body.writeBytes(
        ("0;chunk-signature="
                + last
                + "\r\n"
                + name
                + ":"
                + value
                + separator
                + "x-amz-trailer-signature:"
                + trailer
                + "\r\n\r\n")
            .getBytes(StandardCharsets.ISO_8859_1));
    return body.toByteArray();
  }

  private static String hash(String text) {
    return Sha256.hex(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static String sign(String kind, String previous, String hashes) {
    String text = kind + "\n20130524T000000Z\n" + SCOPE + "\n" + previous + "\n" + hashes;
    return HexFormat.of().formatHex(Sha256.hmac(KEY, text));
  }
}
