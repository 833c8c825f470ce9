package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Uploads by forms of browsers, under signed policies. */
final class PostObjectTest {
  private static final String BOUNDARY = "----WebKitFormBoundary7MA4YWxk";

  private final TestDoor door = new TestDoor();
  private final RawClient client = new RawClient(door);

  @BeforeEach
  void bucket() {
    assertThat(signed("PUT", "/bucket").status()).isEqualTo(200);
  }

  @AfterEach
  void close() {
    door.close();
  }

  private RawClient.Response signed(String method, String target) {
    return client.send(method, target, "", client.signed(client.signing(), method, target));
  }

  /** Fields of a form that may upload below {@code user/}, text of 1 to 1,000,000 bytes. */
  private Map<String, String> fields(String... more) {
    return fields(client.signing(), 600, more);
  }

  private Map<String, String> fields(RawClient.Signing signing, int seconds, String... more) {
    Instant now = Instant.ofEpochMilli(door.env.wallMillis());
    String policy =
        """
        {"expiration": "%s",
         "conditions": [
          {"bucket": "bucket"},
          ["starts-with", "$key", "user/"],
          ["starts-with", "$Content-Type", "text/"],
          ["content-length-range", 1, 1000000],
          ["starts-with", "$x-amz-meta-note", ""],
          ["starts-with", "$success_action_status", ""],
          ["starts-with", "$success_action_redirect", "http://page.example/"],
          ["starts-with", "$tagging", ""],
          ["starts-with", "$x-amz-checksum-crc32", ""],
          ["eq", "$acl", "private"],
          {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
          {"x-amz-credential": "%s"},
          {"x-amz-date": "%s"}
         ]}
        """
            .formatted(
                now.plusSeconds(seconds),
                signing.key().accessKeyId() + "/" + signing.scope(),
                signing.timestamp());
    String base64 = Base64.getEncoder().encodeToString(policy.getBytes(StandardCharsets.UTF_8));
    Map<String, String> fields = new LinkedHashMap<>();
    fields.put("key", "user/${filename}");
    fields.put("Content-Type", "text/plain");
    fields.put("acl", "private");
    fields.put("success_action_redirect", "http://page.example/done");
    fields.put("X-Amz-Algorithm", SignatureV4.ALGORITHM);
    fields.put("X-Amz-Credential", signing.key().accessKeyId() + "/" + signing.scope());
    fields.put("X-Amz-Date", signing.timestamp());
    fields.put("Policy", base64);
    fields.put(
        "X-Amz-Signature", HexFormat.of().formatHex(Sha256.hmac(signing.signingKey(), base64)));
    for (int i = 0; i < more.length; i += 2) {
      if (more[i + 1].isEmpty()) {
        fields.remove(more[i]);
      } else {
        fields.put(more[i], more[i + 1]);
      }
    }
    return fields;
  }

  private static byte[] form(Map<String, String> fields, String fileName, byte[] file) {
    var head = new StringBuilder();
    fields.forEach((name, value) ->
        head.append("--")
            .append(BOUNDARY)
            .append("\r\nContent-Disposition: form-data; name=\"")
            .append(name)
            .append("\"\r\n\r\n")
            .append(value)
            .append("\r\n"));
    head.append("--")
        .append(BOUNDARY)
        .append("\r\nContent-Disposition: form-data; name=\"file\"; filename=\"")
        .append(fileName)
        .append("\"\r\nContent-Type: image/png\r\n\r\n");
    byte[] begin = head.toString().getBytes(StandardCharsets.UTF_8);
    byte[] end = ("\r\n--" + BOUNDARY + "--\r\n").getBytes(StandardCharsets.UTF_8);
    var all = new byte[begin.length + file.length + end.length];
    System.arraycopy(begin, 0, all, 0, begin.length);
    System.arraycopy(file, 0, all, begin.length, file.length);
    System.arraycopy(end, 0, all, begin.length + file.length, end.length);
    return all;
  }

  private RawClient.Response post(byte[] form) {
    return client.send(
        "POST", "/bucket", form, "Content-Type", "multipart/form-data; boundary=" + BOUNDARY);
  }

  private RawClient.Response post(Map<String, String> fields, String file) {
    return post(form(fields, "a.txt", file.getBytes(StandardCharsets.UTF_8)));
  }

  private static void refused(String code, int status, RawClient.Response answer) {
    assertThat(answer.xml("Code")).as(answer.text()).isEqualTo(code);
    assertThat(answer.status()).isEqualTo(status);
  }

  @Test
  void aFormUploadsUnderItsPolicy() {
    RawClient.Response done =
        post(
            fields(
                "x-amz-meta-note",
                "from a form",
                "tagging",
                "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"),
            "hello");
    assertThat(done.status()).as(done.text()).isEqualTo(303);
    assertThat(done.header("location"))
        .isEqualTo(
            "http://page.example/done?bucket=bucket&key=user%2Fa.txt"
                + "&etag=%225d41402abc4b2a76b9719d911017c592%22");
    RawClient.Response read = signed("GET", "/bucket/user/a.txt");
    assertThat(read.text()).isEqualTo("hello");
    assertThat(read.header("content-type")).isEqualTo("text/plain");
    assertThat(read.header("x-amz-meta-note")).isEqualTo("from a form");
    assertThat(read.header("x-amz-tagging-count")).isEqualTo("1");
  }

  @Test
  void theFormSaysHowItIsAnswered() {
    String[] silent = {"success_action_redirect", ""};
    Map<String, String> plain = fields(silent);
    // The policy's condition on the redirect does not hold for an absent one.
    refused("AccessDenied", 403, post(plain, "x"));
    for (String status : List.of("200", "201", "204", "999")) {
      Map<String, String> fields =
          fields(
              "success_action_redirect", "http://page.example/", "success_action_status", status);
      assertThat(post(fields, "x").status()).as("the redirect goes first").isEqualTo(303);
    }
    String bare =
        Base64.getEncoder()
            .encodeToString(
                ("{\"expiration\": \"2100-01-01T00:00:00Z\", \"conditions\": ["
                        + "{\"bucket\":\"bucket\"},[\"starts-with\",\"$key\",\"\"],"
                        + "[\"starts-with\",\"$success_action_status\",\"\"],"
                        + "[\"starts-with\",\"$x-amz-algorithm\",\"\"],"
                        + "[\"starts-with\",\"$x-amz-credential\",\"\"],"
                        + "[\"starts-with\",\"$x-amz-date\",\"\"]]}")
                    .getBytes(StandardCharsets.UTF_8));
    RawClient.Signing signing = client.signing();
    String signature = HexFormat.of().formatHex(Sha256.hmac(signing.signingKey(), bare));
    for (String status : List.of("200", "201", "204", "999")) {
      Map<String, String> fields =
          fields(
              "success_action_redirect",
              "",
              "acl",
              "",
              "Content-Type",
              "",
              "key",
              "k",
              "success_action_status",
              status,
              "Policy",
              bare,
              "X-Amz-Signature",
              signature);
      RawClient.Response answer = post(fields, "x");
      assertThat(answer.status())
          .as(answer.text())
          .isEqualTo(status.equals("999") ? 204 : Integer.parseInt(status));
      assertThat(answer.xml("Key")).isEqualTo(status.equals("201") ? "k" : "");
      assertThat(answer.header("etag")).isEqualTo("\"9dd4e461268c8034f5c8564e155c67a6\"");
    }
    assertThat(signed("GET", "/bucket/k").header("content-type")).isEqualTo("binary/octet-stream");
  }

  @Test
  void filesThatLookLikeBoundariesComeWholeHoweverTheyAreCut() {
    var random = new Random(5);
    for (int i = 0; i < 40; i++) {
      var file = new StringBuilder("\r\n--");
      while (file.length() < 1 + random.nextInt(200_000)) {
        switch (random.nextInt(4)) {
          case 0 -> file.append("\r\n--").append(BOUNDARY, 0, random.nextInt(BOUNDARY.length()));
          case 1 -> file.append("\r\r\n");
          case 2 -> file.append("x--").append(BOUNDARY);
          default -> file.append("x".repeat(random.nextInt(70_000)));
        }
      }
      byte[] body = file.toString().getBytes(StandardCharsets.US_ASCII);
      RawClient.Response done = post(form(fields(), "f" + i, body));
      assertThat(done.status()).as(done.text()).isEqualTo(303);
      assertThat(signed("GET", "/bucket/user/f" + i).body()).isEqualTo(body);
    }
  }

  @Test
  void namesOfFilesAreTakenWithoutTheirDirectoriesAndInAnyLetters() {
    assertThat(post(form(fields(), "C:\\dir\\ä €.txt", new byte[] {1})).status()).isEqualTo(303);
    assertThat(signed("GET", "/bucket/user/%C3%A4%20%E2%82%AC.txt").status()).isEqualTo(200);
    refused("InvalidArgument", 400, post(form(fields("key", "user/../x"), "a", new byte[] {1})));
  }

  @Test
  void whatThePolicyDoesNotAllowIsRefusedAndLeavesNothing() {
    var wrong = new ArrayList<Map<String, String>>();
    wrong.add(fields("key", "other/a"));
    wrong.add(fields("Content-Type", "image/png"));
    wrong.add(fields("x-amz-meta-other", "not named"));
    wrong.add(fields("acl", ""));
    wrong.add(fields(client.signing(), -1));
    wrong.add(fields(RawClient.Signing.by(TestDoor.RESTRICTED, client), 600));
    for (Map<String, String> fields : wrong) {
      refused("AccessDenied", 403, post(fields, "x"));
    }
    RawClient.Response expired = post(fields(client.signing(), -1), "x");
    assertThat(expired.xml("Message")).isEqualTo("Invalid according to Policy: Policy expired.");
    refused("EntityTooSmall", 400, post(fields(), ""));
    refused("EntityTooLarge", 400, post(fields(), "x".repeat(1_000_001)));
    refused("SignatureDoesNotMatch", 403, post(fields("X-Amz-Signature", "0".repeat(64)), "x"));
    refused("SignatureDoesNotMatch", 403, post(fields("Policy", "e30="), "x"));
    refused("InvalidArgument", 400, post(fields("x-amz-meta-note", "a\r\nSet-Cookie: b"), "x"));
    refused(
        "InvalidArgument",
        400,
        post(fields("success_action_redirect", "http://page.example/\r\nSet-Cookie: b"), "x"));
    refused("BadDigest", 400, post(fields("x-amz-checksum-crc32", "AAAAAA=="), "x"));
    refused("AccessDenied", 403, post(fields("Policy", ""), "x"));
    refused("InvalidArgument", 400, post(fields("X-Amz-Date", ""), "x"));
    refused("InvalidArgument", 400, post(fields("key", ""), "x"));
    refused(
        "AuthorizationQueryParametersError",
        400,
        post(fields(client.signing().region("eu-west-1"), 600), "x"));
    assertThat(signed("GET", "/bucket").text()).doesNotContain("<Contents>");
  }

  @Test
  void policiesAndFormsThatCannotBeReadAreRefused() {
    RawClient.Signing signing = client.signing();
    for (String policy :
        List.of(
            "",
            "[]",
            "{",
            "{\"expiration\": \"2100-01-01T00:00:00Z\"}",
            "{\"conditions\": []}",
            "{\"expiration\": \"tomorrow\", \"conditions\": []}",
            "{\"expiration\": \"2100-01-01T00:00:00Z\", \"conditions\": [3]}",
            "{\"expiration\": \"2100-01-01T00:00:00Z\", \"conditions\": [[\"like\",\"$key\",\"x\"]]}",
            "{\"a\":".repeat(1000))) {
      String base64 = Base64.getEncoder().encodeToString(policy.getBytes(StandardCharsets.UTF_8));
      String signature = HexFormat.of().formatHex(Sha256.hmac(signing.signingKey(), base64));
      Map<String, String> fields = fields("X-Amz-Signature", signature);
      fields.put("Policy", base64);
      refused("InvalidPolicyDocument", 400, post(fields, "x"));
    }
    byte[] good = form(fields(), "a", new byte[] {1});
    refused("IncompleteBody", 400, post(Arrays.copyOf(good, good.length - 6)));
    refused(
        "MalformedPOSTRequest",
        400,
        post(form(fields("x-ignore-large", "x".repeat(20_001)), "a", new byte[1])));
    String noFile =
        "--"
            + BOUNDARY
            + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--"
            + BOUNDARY
            + "--\r\n";
    refused("InvalidArgument", 400, post(noFile.getBytes(StandardCharsets.US_ASCII)));
    refused("IncompleteBody", 400, post("no form at all".getBytes(StandardCharsets.US_ASCII)));
    assertThat(signed("GET", "/bucket").text()).doesNotContain("<Contents>");
  }
}
