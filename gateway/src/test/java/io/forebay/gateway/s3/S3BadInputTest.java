package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Wrong requests: each is refused by S3's name, and nothing of it can be seen afterwards. */
final class S3BadInputTest {
  private final TestDoor door = new TestDoor();
  private final RawClient client = new RawClient(door);

  @BeforeEach
  void bucket() {
    assertThat(signed("PUT", "/bucket", "").status()).isEqualTo(200);
    assertThat(signed("PUT", "/bucket/there", "0123456789").status()).isEqualTo(200);
  }

  @AfterEach
  void nothingHalfWrittenIsVisible() {
    assertThat(signed("GET", "/bucket", "").text())
        .contains("<Key>there</Key>")
        .containsOnlyOnce("<Contents>");
    assertThat(signed("GET", "/bucket/there", "").text()).isEqualTo("0123456789");
    door.close();
  }

  private RawClient.Response signed(String method, String target, String body, String... headers) {
    return signed(client.signing(), method, target, body, headers);
  }

  private RawClient.Response signed(
      RawClient.Signing signing, String method, String target, String body, String... headers) {
    return client.send(method, target, body, client.signed(signing, method, target, headers));
  }

  private static void refused(String code, int status, RawClient.Response answer) {
    assertThat(answer.xml("Code")).as(answer.text()).isEqualTo(code);
    assertThat(answer.status()).isEqualTo(status);
  }

  // --- signatures

  @Test
  void aPresignedUrlIsGoodUntilItExpires() {
    RawClient.Signing now = client.signing();
    String good = client.presigned(now, "GET", "/bucket/there", 60);
    assertThat(client.send("GET", good).text()).isEqualTo("0123456789");
    RawClient.Signing before = now.at(now.at().minusSeconds(120));
    String expired = client.presigned(before, "GET", "/bucket/there", 60);
    refused("AccessDenied", 403, client.send("GET", expired));
    assertThat(client.send("GET", expired).text()).contains("Request has expired");
    refused("SignatureDoesNotMatch", 403, client.send("PUT", good));
    refused("SignatureDoesNotMatch", 403, client.send("GET", good.replace("there", "other")));
    RawClient.Signing later = now.at(now.at().plus(Duration.ofHours(1)));
    refused(
        "AccessDenied", 403, client.send("GET", client.presigned(later, "GET", "/bucket/x", 60)));
    refused(
        "AuthorizationQueryParametersError",
        400,
        client.send("GET", client.presigned(now, "GET", "/bucket/there", 604_801)));
    refused(
        "AuthorizationQueryParametersError",
        400,
        client.send("GET", client.presigned(now.region("eu-west-1"), "GET", "/bucket/x", 60)));
  }

  @Test
  void clocksThatDifferByMoreThan15MinutesAreToldSo() {
    RawClient.Signing now = client.signing();
    for (Duration skew : List.of(Duration.ofMinutes(-16), Duration.ofMinutes(16))) {
      refused(
          "RequestTimeTooSkewed",
          403,
          signed(now.at(now.at().plus(skew)), "PUT", "/bucket/late", "x"));
    }
    assertThat(
            signed(now.at(now.at().minus(Duration.ofMinutes(14))), "HEAD", "/bucket", "").status())
        .isEqualTo(200);
  }

  @Test
  void anotherRegionIsNamedWithTheRightOne() {
    RawClient.Response answer =
        signed(client.signing().region("eu-central-1"), "PUT", "/bucket/r", "x");
    refused("AuthorizationHeaderMalformed", 400, answer);
    assertThat(answer.xml("Region")).isEqualTo("us-east-1");
  }

  @Test
  void aSignatureOverAnotherHostDoesNotMatch() {
    refused(
        "SignatureDoesNotMatch",
        403,
        signed(client.signing().host("s3.elsewhere.example"), "PUT", "/bucket/h", "x"));
  }

  @Test
  void headersThatWereNotSignedAreRefused() {
    String[] headers = client.signed(client.signing(), "PUT", "/bucket/u");
    String[] more = Arrays.copyOf(headers, headers.length + 2);
    more[headers.length] = "x-amz-meta-added";
    more[headers.length + 1] = "by somebody else";
    refused("AccessDenied", 403, client.send("PUT", "/bucket/u", "x", more));
  }

  // --- bodies

  @Test
  void aBodyThatIsShorterOrLongerThanAnnouncedIsRefused() {
    String[] headers = client.signed(client.signing(), "PUT", "/bucket/s");
    String[] announced = Arrays.copyOf(headers, headers.length + 2);
    announced[headers.length] = "Content-Length";
    announced[headers.length + 1] = "10";
    RawClient.Response cut =
        client.sendRaw(
            "PUT", "/bucket/s", "short".getBytes(StandardCharsets.US_ASCII), false, announced);
    assertThat(cut.status()).as("the connection is broken, or it is refused").isIn(0, 400);
    for (int decoded : List.of(4, 6)) {
      refused("IncompleteBody", 400, chunked(List.of("hello"), decoded, -1, 0, Optional.empty()));
    }
    RawClient.Signing hashed =
        client.signing().payload(Sha256.hex("other".getBytes(StandardCharsets.US_ASCII)));
    refused("XAmzContentSHA256Mismatch", 400, signed(hashed, "PUT", "/bucket/s", "hello"));
    refused(
        "BadDigest",
        400,
        signed("PUT", "/bucket/s", "hello", "content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="));
    refused("InvalidDigest", 400, signed("PUT", "/bucket/s", "hello", "content-md5", "short"));
    refused(
        "InvalidRequest",
        400,
        signed("PUT", "/bucket/s", "hello", "x-amz-checksum-sha256", "AAAA"));
    refused(
        "BadDigest", 400, signed("PUT", "/bucket/s", "hello", "x-amz-checksum-crc32", "AAAAAA=="));
    String[] large = Arrays.copyOf(headers, headers.length + 2);
    large[headers.length] = "content-length";
    large[headers.length + 1] = Long.toString(IncomingBody.MAX_BYTES + 1);
    refused("EntityTooLarge", 400, client.sendRaw("PUT", "/bucket/s", new byte[0], true, large));
  }

  /** A PUT in signed chunks; {@code cut} bytes are left out at the end. */
  private RawClient.Response chunked(
      List<String> chunks, int decoded, int wrong, int cut, Optional<String> trailer) {
    RawClient.Signing signing =
        client
            .signing()
            .payload(
                trailer.isPresent()
                    ? "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
                    : "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    String[] more = {"x-amz-decoded-content-length", Integer.toString(decoded)};
    if (trailer.isPresent()) {
      more = Arrays.copyOf(more, 4);
      more[2] = "x-amz-trailer";
      more[3] = "x-amz-checksum-crc32";
    }
    String[] headers = client.signed(signing, "PUT", "/bucket/c", more);
    String authorization = headers[Arrays.asList(headers).indexOf("authorization") + 1];
    String seed = authorization.substring(authorization.indexOf("Signature=") + 10);
    byte[] body =
        RawClient.chunks(
            signing,
            seed,
            chunks.stream().map(each -> each.getBytes(StandardCharsets.US_ASCII)).toList(),
            wrong,
            trailer.filter(line -> !line.isEmpty()));
    return client.send("PUT", "/bucket/c", Arrays.copyOf(body, body.length - cut), headers);
  }

  @Test
  void chunksAreRefusedWhereTheirChainOfSignaturesBreaks() {
    List<String> chunks = List.of("a".repeat(9000), "b".repeat(9000), "c".repeat(9000));
    for (int wrong = 0; wrong <= chunks.size(); wrong++) {
      refused("SignatureDoesNotMatch", 403, chunked(chunks, 27_000, wrong, 0, Optional.empty()));
    }
    refused("IncompleteBody", 400, chunked(chunks, 27_000, -1, 120, Optional.empty()));
    String sum = crc32("hello");
    refused(
        "BadDigest",
        400,
        chunked(List.of("hellx"), 5, -1, 0, Optional.of("x-amz-checksum-crc32:" + sum)));
    refused("MalformedTrailerError", 400, chunked(List.of("hello"), 5, -1, 0, Optional.of("")));
    refused(
        "MalformedTrailerError",
        400,
        chunked(List.of("hello"), 5, -1, 0, Optional.of("x-amz-checksum-sha1:" + sum)));
    assertThat(
            chunked(List.of("hello"), 5, -1, 0, Optional.of("x-amz-checksum-crc32:" + sum))
                .status())
        .isEqualTo(200);
    assertThat(signed("DELETE", "/bucket/c", "").status()).isEqualTo(204);
  }

  private static String crc32(String body) {
    Checksum sum = Checksum.ofHeader("x-amz-checksum-crc32").orElseThrow();
    sum.update(ByteBuffer.wrap(body.getBytes(StandardCharsets.US_ASCII)));
    return Base64.getEncoder().encodeToString(sum.value());
  }

  @Test
  void aRangeBehindTheEndIsNotSatisfiable() {
    for (String range : List.of("bytes=10-", "bytes=10-20", "bytes=-0")) {
      refused("InvalidRange", 416, signed("GET", "/bucket/there", "", "range", range));
    }
    assertThat(signed("GET", "/bucket/there", "", "range", "bytes=9-99").text()).isEqualTo("9");
    assertThat(signed("GET", "/bucket/there", "", "range", "bytes=-99").status()).isEqualTo(206);
  }

  // --- conditions

  @Test
  void aConditionThatNamesNothingIsRefused() {
    for (String header : List.of("if-match", "if-none-match")) {
      for (String empty : List.of("", ",", ", ,")) {
        refused("InvalidArgument", 400, signed("PUT", "/bucket/there", "x", header, empty));
        refused("InvalidArgument", 400, signed("DELETE", "/bucket/there", "", header, empty));
      }
    }
    refused("InvalidArgument", 400, signed("GET", "/bucket/there", "", "if-match", ""));
    assertThat(signed("GET", "/bucket/there", "", "if-none-match", "").status()).isEqualTo(200);
    refused("PreconditionFailed", 412, signed("PUT", "/bucket/there", "x", "if-match", "\"\""));
    refused("PreconditionFailed", 412, signed("PUT", "/bucket/there", "x", "if-none-match", "*"));
  }

  /** As signers of URLs may put them there: what they ask for would not be done. */
  @Test
  void headersInTheQueryOfAWriteAreRefused() {
    for (String header :
        List.of(
            "x-amz-meta-run=7", "X-Amz-Copy-Source=%2Fbucket%2Fthere", "x-amz-acl=public-read")) {
      refused("NotImplemented", 501, signed("PUT", "/bucket/there?" + header, ""));
    }
    assertThat(signed("GET", "/bucket/there", "").status()).isEqualTo(200);
    for (String idle : List.of("x-amz-sdk-checksum-algorithm=CRC32", "x-amz-acl=private")) {
      assertThat(signed("PUT", "/bucket/there?" + idle, "0123456789").status()).isEqualTo(200);
    }
  }

  @Test
  void deletesOnConditionsThatAreNotOfferedAreRefused() {
    for (String header : List.of("x-amz-if-match-size", "x-amz-if-match-last-modified-time")) {
      refused("NotImplemented", 501, signed("DELETE", "/bucket/there", "", header, "3"));
    }
    for (String condition :
        List.of(
            "<Size>3</Size>",
            "<LastModifiedTime>Sun, 06 Nov 1994 08:49:37 GMT</LastModifiedTime>",
            "<ETag>781e5e245d69b566979b86e28d23f2c7</ETag><Size>3</Size>")) {
      RawClient.Response answer =
          signed(
              "POST",
              "/bucket?delete=",
              "<Delete><Object><Key>there</Key>" + condition + "</Object></Delete>");
      refused("NotImplemented", 200, answer);
      assertThat(answer.xml("Key")).isEqualTo("there");
      assertThat(answer.text()).doesNotContain("<Deleted>");
    }
  }

  // --- uploads

  @Test
  void completionsOfWrongPartsAreRefusedAndTheUploadStays() {
    String id = signed("POST", "/bucket/m?uploads=", "").xml("UploadId");
    String first = signed("PUT", part(id, 1), "one").header("etag");
    String second = signed("PUT", part(id, 2), "two").header("etag");
    refused("EntityTooSmall", 400, complete(id, named(1, first) + named(2, second)));
    refused("InvalidPartOrder", 400, complete(id, named(2, second) + named(1, first)));
    refused("InvalidPartOrder", 400, complete(id, named(1, first) + named(1, first)));
    refused("InvalidPart", 400, complete(id, named(1, first) + named(3, second)));
    refused("InvalidPart", 400, complete(id, named(1, second)));
    refused("MalformedXML", 400, complete(id, ""));
    refused("MalformedXML", 400, complete(id, "<Part><PartNumber>1</PartNumber></Part>"));
    refused("InvalidArgument", 400, complete(id, named(0, first)));
    refused("InvalidArgument", 400, complete(id, named(10_001, first)));
    refused("InvalidArgument", 400, complete(id, named(1, first), "x-amz-mp-object-size", "4"));
    refused("InvalidArgument", 400, signed("PUT", part(id, 0), "x"));
    refused("InvalidArgument", 400, signed("PUT", part(id, 10_001), "x"));
    refused("NoSuchUpload", 404, signed("PUT", part("no-such-upload", 1), "x"));
    assertThat(signed("GET", "/bucket/m?uploadId=" + id, "").text())
        .as("both parts are there still")
        .contains("<PartNumber>1</PartNumber>", "<PartNumber>2</PartNumber>");
    assertThat(complete(id, named(1, first), "x-amz-mp-object-size", "3").status()).isEqualTo(200);
    assertThat(complete(id, named(1, first.replace("\"", ""))).status())
        .as("again, and unquoted")
        .isEqualTo(200);
    assertThat(signed("GET", "/bucket/m", "").text()).isEqualTo("one");
    assertThat(signed("DELETE", "/bucket/m", "").status()).isEqualTo(204);
    refused("NoSuchUpload", 404, complete(id, named(1, first)));
  }

  private static String part(String upload, int number) {
    return "/bucket/m?partNumber=" + number + "&uploadId=" + upload;
  }

  private static String named(int number, String etag) {
    return "<Part><PartNumber>" + number + "</PartNumber><ETag>" + etag + "</ETag></Part>";
  }

  private RawClient.Response complete(String upload, String parts, String... headers) {
    return signed(
        "POST",
        "/bucket/m?uploadId=" + upload,
        "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>",
        headers);
  }

  // --- requests

  @Test
  void headsOf64KiBAreRefused() {
    refused(
        "RequestHeaderSectionTooLarge",
        431,
        signed("PUT", "/bucket/l", "x", "x-amz-meta-large", "a".repeat(64 << 10)));
    refused(
        "MetadataTooLarge",
        400,
        signed("PUT", "/bucket/l", "x", "x-amz-meta-large", "a".repeat(2048)));
    refused("KeyTooLongError", 400, signed("PUT", "/bucket/" + "k".repeat(1025), "x"));
  }

  @Test
  void keysThatAreNotUtf8AreRefused() {
    for (String key : List.of("%ff", "a%c3", "%ed%a0%80", "%f5%80%80%80", "a%2", "a%zz")) {
      refused("InvalidURI", 400, signed("PUT", "/bucket/" + key, "x"));
    }
    for (String key : List.of("%00", "a/../b", ".", "a/./b")) {
      refused("InvalidArgument", 400, signed("PUT", "/bucket/" + key, "x"));
    }
  }

  @Test
  void documentsThatExpandNestOrNeverEndAreRefused() {
    String laughs = "<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">";
    for (String document :
        List.of(
            "<?xml version=\"1.0\"?><!DOCTYPE d [" + laughs + "]><Delete>&b;</Delete>",
            "<!DOCTYPE d SYSTEM \"file:///etc/passwd\"><Delete/>",
            "<Delete>" + "<a>".repeat(100_000),
            "<Delete>" + "<Object><Key>k</Key></Object>".repeat(1001) + "</Delete>",
            "<Delete></Delete>",
            "<Delete><Object/></Delete>",
            "<Delete><Object><Key>there</Key></Object>",
            "<Other/>",
            "")) {
      refused("MalformedXML", 400, signed("POST", "/bucket?delete=", document));
    }
    byte[] large = new byte[10 << 20];
    Arrays.fill(large, (byte) ' ');
    var document = new ByteArrayOutputStream();
    document.writeBytes("<Delete>".getBytes(StandardCharsets.US_ASCII));
    document.writeBytes(large);
    document.writeBytes(
        "<Object><Key>there</Key></Object></Delete>".getBytes(StandardCharsets.US_ASCII));
    refused(
        "MalformedXML",
        400,
        client.send(
            "POST",
            "/bucket?delete=",
            document.toByteArray(),
            client.signed(client.signing(), "POST", "/bucket?delete=")));
  }

  // --- rights

  @Test
  void aKeyPairDoesWhatItsGrantsSayAndNothingElse() {
    for (String bucket : List.of("shared", "own-1", "other")) {
      assertThat(signed("PUT", "/" + bucket, "").status()).isEqualTo(200);
      assertThat(signed("PUT", "/" + bucket + "/k", "x").status()).isEqualTo(200);
    }
    RawClient.Signing restricted = RawClient.Signing.by(TestDoor.RESTRICTED, client);
    assertThat(signed(restricted, "GET", "/", "").text())
        .contains("<Name>own-1</Name>", "<Name>shared</Name>")
        .doesNotContain("other", "<Name>bucket");
    assertThat(signed(restricted, "GET", "/shared/k", "").text()).isEqualTo("x");
    assertThat(signed(restricted, "GET", "/shared", "").status()).isEqualTo(200);
    for (String call :
        List.of(
            "PUT /shared/k",
            "DELETE /shared/k",
            "POST /shared/k?uploads=",
            "PUT /shared/k?tagging=",
            "POST /shared?delete=",
            "DELETE /shared",
            "DELETE /own-1",
            "PUT /own-2",
            "GET /other/k",
            "HEAD /other/k",
            "PUT /other/k",
            "GET /other",
            "GET /absent",
            "PUT /absent")) {
      String[] parts = call.split(" ", 2);
      RawClient.Response answer = signed(restricted, parts[0], parts[1], "");
      assertThat(answer.status()).as(call).isEqualTo(403);
      if (!parts[0].equals("HEAD")) {
        refused("AccessDenied", 403, answer);
      }
    }
    assertThat(signed(restricted, "PUT", "/own-1/new", "y").status()).isEqualTo(200);
    assertThat(signed(restricted, "PUT", "/own-1/c", "", "x-amz-copy-source", "/shared/k").status())
        .isEqualTo(200);
    refused(
        "AccessDenied",
        403,
        signed(restricted, "PUT", "/own-1/c", "", "x-amz-copy-source", "/other/k"));
    assertThat(signed(restricted, "PUT", "/mine", "").status()).isEqualTo(200);
    assertThat(signed(restricted, "DELETE", "/mine", "").status()).isEqualTo(204);
    String presigned = client.presigned(restricted, "PUT", "/shared/k", 60);
    refused("AccessDenied", 403, client.send("PUT", presigned, "z"));
    assertThat(signed("GET", "/shared/k", "").text()).isEqualTo("x");
  }
}
