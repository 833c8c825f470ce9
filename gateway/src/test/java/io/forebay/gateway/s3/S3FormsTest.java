package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.forebay.core.file.ByteRange;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Small forms: checksums, ranges, escapes, XML, targets. */
final class S3FormsTest {
  /** The check values of the catalogue of parametrised CRCs, and of RFC 3174 and FIPS 180. */
  @Test
  void checksumsHaveTheirKnownAnswers() {
    byte[] input = "123456789".getBytes(StandardCharsets.US_ASCII);
    assertThat(checksum("crc32", input)).isEqualTo("cbf43926");
    assertThat(checksum("crc32c", input)).isEqualTo("e3069283");
    assertThat(checksum("crc64nvme", input)).isEqualTo("ae8b14860a799888");
    assertThat(checksum("sha1", input)).isEqualTo("f7c3bc1d808e04732adf679965ccc34ca7ae3441");
    assertThat(checksum("sha256", new byte[0])).isEqualTo(Sha256.EMPTY_HEX);
    assertThat(Checksum.ofHeader("x-amz-checksum-mode")).isEmpty();
  }

  @Test
  void crc64IsTheSameHoweverTheBytesAreCut() {
    var random = new Random(4);
    var input = new byte[1000];
    random.nextBytes(input);
    String whole = checksum("crc64nvme", input);
    for (int i = 0; i < 100; i++) {
      Checksum cut = Checksum.ofHeader(Checksum.PREFIX + "crc64nvme").orElseThrow();
      for (int at = 0; at < input.length; ) {
        int length = Math.min(input.length - at, 1 + random.nextInt(30));
        cut.update(ByteBuffer.wrap(input, at, length));
        at += length;
      }
      assertThat(HexFormat.of().formatHex(cut.value())).isEqualTo(whole);
    }
  }

  private static String checksum(String name, byte[] input) {
    Checksum checksum = Checksum.ofHeader(Checksum.PREFIX + name).orElseThrow();
    checksum.update(ByteBuffer.wrap(input));
    return HexFormat.of().formatHex(checksum.value());
  }

  @Test
  void ranges() {
    assertThat(range("bytes=0-0", 10)).contains(new ByteRange(0, 1));
    assertThat(range("bytes=3-", 10)).contains(new ByteRange(3, 7));
    assertThat(range("bytes=3-99", 10)).contains(new ByteRange(3, 7));
    assertThat(range("bytes=-3", 10)).contains(new ByteRange(7, 3));
    assertThat(range("bytes=-99", 10)).contains(new ByteRange(0, 10));
    // "To the end", as clients say it whose numbers are longs.
    for (String end : List.of("9223372036854775806", "18446744073709551615", "0".repeat(30) + 99)) {
      assertThat(range("bytes=3-" + end, 10)).as(end).contains(new ByteRange(3, 7));
      assertThat(range("bytes=-" + end, 10)).as(end).contains(new ByteRange(0, 10));
    }
    assertThat(range("bytes=" + "0".repeat(20) + "-0", 10)).contains(new ByteRange(0, 1));
    for (String ignored : List.of("bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "x")) {
      assertThat(range(ignored, 10)).as(ignored).isEmpty();
    }
    for (String beyond :
        List.of("bytes=10-", "bytes=10-11", "bytes=-0", "bytes=9223372036854775807-")) {
      assertThat(outside(beyond, 10)).containsEntry("RangeRequested", beyond);
    }
    assertThat(outside("bytes=0-", 0)).containsEntry("ActualObjectSize", "0");
  }

  private static Map<String, String> outside(String text, long length) {
    S3Refusal refusal = catchThrowableOfType(S3Refusal.class, () -> range(text, length));
    assertThat(refusal.code()).isEqualTo(S3Code.INVALID_RANGE);
    return refusal.details();
  }

  private static Optional<ByteRange> range(String text, long length) {
    return ByteRanges.of(Optional.of(text), length);
  }

  @Test
  void brokenEscapesAndBytesThatAreNotUtf8AreRefused() {
    for (String target : List.of("/b/%", "/b/%4", "/b/%zz", "/b/%ff", "/b/%c3", "nothing")) {
      SignatureV4Test.refused(
          S3Code.INVALID_URI, () -> SignatureV4Test.request("GET", target, "host", "h"));
    }
  }

  @Test
  void pathAndHostStyleNameTheSameObject() {
    S3Request path = SignatureV4Test.request("GET", "/buck/a%20b/c?x=1+2", "host", "h:1");
    S3Request host =
        SignatureV4Test.request("GET", "/a%20b/c", "host", "Buck.s3.amazonaws.com:9000");
    assertThat(List.of(path.bucket(), path.key())).containsExactly("buck", "a b/c");
    assertThat(List.of(host.bucket(), host.key())).containsExactly("buck", "a b/c");
    assertThat(path.param("x")).contains("1 2");
    S3Request absolute = SignatureV4Test.request("GET", "http://h:1/buck/k", "host", "h:1");
    assertThat(absolute.key()).isEqualTo("k");
  }

  @Test
  void xmlThatExpandsFetchesOrNestsIsRefused() {
    for (String document :
        List.of(
            "<!DOCTYPE a [<!ENTITY x \"y\">]><Delete>&x;</Delete>",
            "<!DOCTYPE Delete SYSTEM \"file:///etc/passwd\"><Delete/>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Delete>&x;</Delete>",
            "<Delete>&undefined;</Delete>",
            "<Delete>".repeat(17) + "</Delete>".repeat(17),
            "<Delete>" + "<a/>".repeat(100_001) + "</Delete>",
            "<Delete><a></Delete>",
            "<Other/>",
            "",
            "rubbish")) {
      SignatureV4Test.refused(
          S3Code.MALFORMED_XML,
          () -> XmlElement.parse(document.getBytes(StandardCharsets.UTF_8), "Delete"));
    }
    XmlElement read =
        XmlElement.parse(
            "<d:Delete xmlns:d='x'><Object><Key>a&amp;<![CDATA[<b>]]>&#x20;ä</Key></Object></d:Delete>"
                .getBytes(StandardCharsets.UTF_8),
            "Delete");
    assertThat(read.all("Object").getFirst().need("Key")).isEqualTo("a&<b> ä");
  }

  @Test
  void xmlTextEscapesWhatItMust() {
    String text =
        new String(XmlText.error().leaf("K", "<&>\"\0\u0001ä").bytes(), StandardCharsets.UTF_8);
    assertThat(text).contains("<K>&lt;&amp;&gt;&quot;\uFFFD&#x1;ä</K></Error>");
  }
}
