package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the calls do, over a socket and without signatures. */
final class S3CallsTest {
  private static final int MIB = 1 << 20;

  private final TestDoor door = new TestDoor(true);
  private final RawClient client = new RawClient(door);

  @BeforeEach
  void bucket() {
    assertThat(client.send("PUT", "/bucket").status()).isEqualTo(200);
  }

  @AfterEach
  void close() {
    door.close();
  }

  private void put(String key, String body, String... headers) {
    RawClient.Response answer = client.send("PUT", "/bucket/" + key, body, headers);
    assertThat(answer.status()).as(answer.text()).isEqualTo(200);
  }

  private static void refused(String code, int status, RawClient.Response answer) {
    assertThat(answer.xml("Code")).as(answer.text()).isEqualTo(code);
    assertThat(answer.status()).isEqualTo(status);
  }

  private static List<String> all(String text, String element) {
    var found = new ArrayList<String>();
    for (String part : text.split("<" + element + ">", -1)) {
      int end = part.indexOf("</" + element + ">");
      if (end >= 0) {
        found.add(part.substring(0, end));
      }
    }
    return found;
  }

  // --- versions

  @Test
  void everyObjectHasTheOneVersionNullWhateverThePageSize() {
    List<String> keys = List.of("a", "b/1", "b/2", "c", "d/", "d/x", "e");
    keys.forEach(key -> put(key, "x"));
    for (int size = 1; size <= 8; size++) {
      var seen = new ArrayList<String>();
      String marker = "";
      while (true) {
        RawClient.Response page = client.send("GET", "/bucket?versions&max-keys=" + size + marker);
        assertThat(page.status()).isEqualTo(200);
        seen.addAll(all(page.text(), "Key"));
        assertThat(all(page.text(), "VersionId")).allMatch("null"::equals);
        assertThat(all(page.text(), "IsLatest")).allMatch("true"::equals);
        if (page.xml("IsTruncated").equals("false")) {
          break;
        }
        marker =
            "&key-marker="
                + PercentCoding.encode(page.xml("NextKeyMarker"), false)
                + "&version-id-marker="
                + page.xml("NextVersionIdMarker");
      }
      assertThat(seen).as("pages of %s", size).isEqualTo(keys);
    }
    RawClient.Response rolled = client.send("GET", "/bucket?versions&delimiter=/");
    assertThat(all(rolled.text(), "Key")).containsExactly("a", "c", "e");
    assertThat(rolled.text()).contains("<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>");
    refused("InvalidArgument", 400, client.send("GET", "/bucket?versions&version-id-marker=null"));
    refused("NoSuchBucket", 404, client.send("GET", "/absent?versions"));
    refused("NoSuchVersion", 404, client.send("GET", "/bucket/a?versionId=3"));
    assertThat(client.send("GET", "/bucket/a?versionId=null").status()).isEqualTo(200);
  }

  // --- parts

  private String upload(String key, String... headers) {
    RawClient.Response begun = client.send("POST", "/bucket/" + key + "?uploads", "", headers);
    assertThat(begun.status()).as(begun.text()).isEqualTo(200);
    return begun.xml("UploadId");
  }

  private RawClient.Response part(
      String key, String upload, int number, byte[] body, String... headers) {
    return client.send(
        "PUT", "/bucket/" + key + "?partNumber=" + number + "&uploadId=" + upload, body, headers);
  }

  private RawClient.Response complete(
      String key, String upload, List<String> parts, String... headers) {
    return client.send(
        "POST",
        "/bucket/" + key + "?uploadId=" + upload,
        "<CompleteMultipartUpload>" + String.join("", parts) + "</CompleteMultipartUpload>",
        headers);
  }

  private static String named(int number, RawClient.Response part, String more) {
    return "<Part><PartNumber>"
        + number
        + "</PartNumber><ETag>"
        + part.header("etag").replace("\"", "&quot;")
        + "</ETag>"
        + more
        + "</Part>";
  }

  private static byte[] random(int length, int seed) {
    var body = new byte[length];
    new Random(seed).nextBytes(body);
    return body;
  }

  private static String sum(String kind, byte[]... bodies) {
    Checksum sum = Checksum.ofHeader(Checksum.PREFIX + kind).orElseThrow();
    for (byte[] body : bodies) {
      sum.update(ByteBuffer.wrap(body));
    }
    return Base64.getEncoder().encodeToString(sum.value());
  }

  @Test
  void aPartOfAnObjectIsReadByItsNumber() {
    byte[] one = random(5 * MIB, 1);
    byte[] two = random(1000, 2);
    String upload = upload("m");
    RawClient.Response first = part("m", upload, 1, one);
    RawClient.Response third = part("m", upload, 3, two);
    RawClient.Response done =
        complete("m", upload, List.of(named(1, first, ""), named(3, third, "")));
    assertThat(done.status()).as(done.text()).isEqualTo(200);
    RawClient.Response read = client.send("GET", "/bucket/m?partNumber=3");
    assertThat(read.status()).isEqualTo(206);
    assertThat(read.body()).isEqualTo(two);
    assertThat(read.header("content-range"))
        .isEqualTo("bytes " + 5 * MIB + "-" + (5 * MIB + 999) + "/" + (5 * MIB + 1000));
    assertThat(read.header("x-amz-mp-parts-count")).isEqualTo("2");
    RawClient.Response head = client.send("HEAD", "/bucket/m?partNumber=1");
    assertThat(head.status()).isEqualTo(206);
    assertThat(head.header("content-length")).isEqualTo(Integer.toString(5 * MIB));
    refused("InvalidPartNumber", 416, client.send("GET", "/bucket/m?partNumber=2"));
    refused("InvalidArgument", 400, client.send("GET", "/bucket/m?partNumber=0"));
    refused("InvalidArgument", 400, client.send("GET", "/bucket/m?partNumber=10001"));
    refused(
        "InvalidRequest",
        400,
        client.send("GET", "/bucket/m?partNumber=1", "", "Range", "bytes=0-1"));
    put("plain", "hello");
    RawClient.Response plain = client.send("GET", "/bucket/plain?partNumber=1");
    assertThat(plain.status()).isEqualTo(206);
    assertThat(plain.text()).isEqualTo("hello");
    assertThat(plain.header("x-amz-mp-parts-count")).isEmpty();
    refused("InvalidPartNumber", 416, client.send("GET", "/bucket/plain?partNumber=2"));
    put("empty", "");
    assertThat(client.send("GET", "/bucket/empty?partNumber=1").status()).isEqualTo(200);
    refused("NotImplemented", 501, client.send("DELETE", "/bucket/m?partNumber=1"));
  }

  // --- attributes and checksums

  private RawClient.Response attributes(String key, String... headers) {
    var all = new ArrayList<>(List.of(headers));
    all.addAll(
        List.of(
            "x-amz-object-attributes",
            "ETag,Checksum,ObjectParts",
            "x-amz-object-attributes",
            "StorageClass, ObjectSize"));
    return client.send("GET", "/bucket/" + key + "?attributes", "", all.toArray(String[]::new));
  }

  @Test
  void everyChecksumIsKeptAndToldAgain() {
    byte[] body = "hello".getBytes(StandardCharsets.UTF_8);
    for (String header : Checksum.HEADERS) {
      String kind = header.substring(Checksum.PREFIX.length());
      put(kind, "hello", header, sum(kind, body));
      refused(
          "BadDigest",
          400,
          client.send("PUT", "/bucket/" + kind, "other", header, sum(kind, body)));
      RawClient.Response silent = client.send("GET", "/bucket/" + kind);
      assertThat(silent.header(header)).isEmpty();
      RawClient.Response head =
          client.send("HEAD", "/bucket/" + kind, "", "x-amz-checksum-mode", "ENABLED");
      assertThat(head.header(header)).isEqualTo(sum(kind, body));
      assertThat(head.header("x-amz-checksum-type")).isEqualTo("FULL_OBJECT");
      RawClient.Response range =
          client.send(
              "GET", "/bucket/" + kind, "", "x-amz-checksum-mode", "ENABLED", "range", "bytes=0-1");
      assertThat(range.header(header)).as("not that of the range").isEmpty();
      RawClient.Response told = attributes(kind);
      assertThat(told.status()).isEqualTo(200);
      assertThat(told.xml(Checksum.element(header))).isEqualTo(sum(kind, body));
      assertThat(told.xml("ETag")).isEqualTo("5d41402abc4b2a76b9719d911017c592");
      assertThat(told.xml("ObjectSize")).isEqualTo("5");
      assertThat(told.xml("StorageClass")).isEqualTo("STANDARD");
      assertThat(told.text()).doesNotContain("ObjectParts");
      assertThat(client.send("GET", "/bucket?list-type=2&prefix=" + kind).text())
          .contains("<ChecksumAlgorithm>" + Checksum.algorithm(header) + "</ChecksumAlgorithm>");
    }
    refused("InvalidArgument", 400, client.send("GET", "/bucket/crc32?attributes"));
    refused("NoSuchKey", 404, attributes("absent"));
    // A copy has them, too: they are of its bytes.
    assertThat(
            client
                .send(
                    "PUT",
                    "/bucket/copy",
                    "",
                    "x-amz-copy-source",
                    "/bucket/sha1",
                    "x-amz-metadata-directive",
                    "REPLACE")
                .status())
        .isEqualTo(200);
    assertThat(attributes("copy").xml("ChecksumSHA1")).isEqualTo(sum("sha1", body));
  }

  @Test
  void aTrailersChecksumIsKept() {
    byte[] body = "hello".getBytes(StandardCharsets.UTF_8);
    String chunked = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:" + sum("crc32c", body) + "\r\n\r\n";
    RawClient.Response made =
        client.send(
            "PUT",
            "/bucket/t",
            chunked,
            "x-amz-content-sha256",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length",
            "5",
            "x-amz-trailer",
            "x-amz-checksum-crc32c");
    assertThat(made.status()).as(made.text()).isEqualTo(200);
    assertThat(made.header("x-amz-checksum-crc32c")).isEqualTo(sum("crc32c", body));
    assertThat(attributes("t").xml("ChecksumCRC32C")).isEqualTo(sum("crc32c", body));
  }

  @Test
  void anUploadsChecksumIsThatOfItsPartsOrOfTheWhole() {
    byte[] one = random(5 * MIB, 3);
    byte[] two = random(MIB, 4);
    for (String header : Checksum.HEADERS) {
      String kind = header.substring(Checksum.PREFIX.length());
      for (String type : List.of("COMPOSITE", "FULL_OBJECT")) {
        String[] begun = {
          "x-amz-checksum-algorithm", Checksum.algorithm(header), "x-amz-checksum-type", type
        };
        boolean possible =
            type.equals("COMPOSITE") ? !kind.equals("crc64nvme") : kind.startsWith("crc");
        if (!possible) {
          refused("InvalidRequest", 400, client.send("POST", "/bucket/k?uploads", "", begun));
          continue;
        }
        String key = kind + type;
        String upload = upload(key, begun);
        RawClient.Response first = part(key, upload, 1, one, header, sum(kind, one));
        RawClient.Response second = part(key, upload, 2, two, header, sum(kind, two));
        assertThat(first.header(header)).isEqualTo(sum(kind, one));
        RawClient.Response listed = client.send("GET", "/bucket/" + key + "?uploadId=" + upload);
        assertThat(listed.xml("ChecksumType")).isEqualTo(type);
        assertThat(all(listed.text(), Checksum.element(header)))
            .containsExactly(sum(kind, one), sum(kind, two));
        String element = Checksum.element(header);
        String good = "<" + element + ">" + sum(kind, one) + "</" + element + ">";
        String bad = "<" + element + ">" + sum(kind, two) + "</" + element + ">";
        List<String> named = List.of(named(1, first, good), named(2, second, ""));
        refused(
            "InvalidPart",
            400,
            complete(key, upload, List.of(named(1, first, bad), named(2, second, ""))));
        refused("BadDigest", 400, complete(key, upload, named, header, sum(kind, two)));
        Checksum ofSums = Checksum.ofHeader(header).orElseThrow();
        ofSums.update(ByteBuffer.wrap(Base64.getDecoder().decode(sum(kind, one))));
        ofSums.update(ByteBuffer.wrap(Base64.getDecoder().decode(sum(kind, two))));
        String expected =
            type.equals("COMPOSITE")
                ? Base64.getEncoder().encodeToString(ofSums.value()) + "-2"
                : sum(kind, one, two);
        RawClient.Response done = complete(key, upload, named, header, expected);
        assertThat(done.xml(element)).as(done.text()).isEqualTo(expected);
        assertThat(done.xml("ChecksumType")).isEqualTo(type);
        assertThat(complete(key, upload, named).xml(element)).as("repeated").isEqualTo(expected);
        RawClient.Response told = attributes(key, "x-amz-max-parts", "1");
        assertThat(told.xml("PartsCount")).isEqualTo("2");
        assertThat(told.xml("IsTruncated")).isEqualTo("true");
        assertThat(told.xml("NextPartNumberMarker")).isEqualTo("1");
        assertThat(all(told.text(), element)).containsExactly(expected, sum(kind, one));
        RawClient.Response rest = attributes(key, "x-amz-part-number-marker", "1");
        assertThat(all(rest.text(), "Size")).containsExactly(Integer.toString(MIB));
        RawClient.Response read =
            client.send(
                "GET", "/bucket/" + key + "?partNumber=2", "", "x-amz-checksum-mode", "ENABLED");
        assertThat(read.header(header)).as("that of the part").isEqualTo(sum(kind, two));
      }
    }
    refused(
        "InvalidRequest",
        400,
        client.send("POST", "/bucket/k?uploads", "", "x-amz-checksum-algorithm", "MD5"));
  }

  @Test
  void aCompletionThatAnnouncesWhatIsNotComparedIsRefused() {
    byte[] one = random(1000, 5);
    String none = upload("none");
    RawClient.Response first =
        part("none", none, 1, one, "x-amz-checksum-crc32", sum("crc32", one));
    List<String> named = List.of(named(1, first, ""));
    refused(
        "InvalidRequest",
        400,
        complete("none", none, named, "x-amz-checksum-sha256", sum("sha256", one)));
    refused(
        "InvalidRequest",
        400,
        complete(
            "none",
            none,
            named,
            "x-amz-checksum-crc32",
            sum("crc32", one),
            "x-amz-checksum-crc32c",
            sum("crc32c", one)));
    RawClient.Response done =
        complete("none", none, named, "x-amz-checksum-crc32", sum("crc32", one));
    assertThat(done.xml("ChecksumCRC32")).as(done.text()).isEqualTo(sum("crc32", one));
    String begun = upload("begun", "x-amz-checksum-algorithm", "SHA256");
    RawClient.Response only =
        part("begun", begun, 1, one, "x-amz-checksum-sha256", sum("sha256", one));
    refused(
        "InvalidRequest",
        400,
        complete(
            "begun",
            begun,
            List.of(named(1, only, "")),
            "x-amz-checksum-crc32",
            sum("crc32", random(1000, 6))));
    assertThat(client.send("HEAD", "/bucket/begun").status()).isEqualTo(404);
    assertThat(complete("begun", begun, List.of(named(1, only, ""))).status()).isEqualTo(200);
  }

  @Test
  void crcsOfAConcatenationFollowFromThoseOfItsParts() {
    var random = new Random(9);
    for (CrcCombiner combiner : CrcCombiner.values()) {
      String kind = combiner.name().toLowerCase(Locale.ROOT);
      for (int i = 0; i < 50; i++) {
        byte[] whole = random(random.nextInt(5000), i);
        int cut = random.nextInt(whole.length + 1);
        byte[] tail = Arrays.copyOfRange(whole, cut, whole.length);
        long combined =
            combiner.combine(
                number(kind, Arrays.copyOf(whole, cut)), number(kind, tail), tail.length);
        assertThat(combined)
            .as("%s, %s of %s", kind, cut, whole.length)
            .isEqualTo(number(kind, whole));
      }
    }
  }

  private static long number(String kind, byte[] body) {
    long value = 0;
    for (byte b : Base64.getDecoder().decode(sum(kind, body))) {
      value = value << 8 | (b & 0xFF);
    }
    return value;
  }

  // --- tags

  @Test
  void tagsAreKeptCountedReplacedAndCopied() {
    put("a", "x", "x-amz-tagging", "k=v&empty=&sp%20ace=%C3%A4%2B");
    RawClient.Response head = client.send("HEAD", "/bucket/a");
    assertThat(head.header("x-amz-tagging-count")).isEqualTo("3");
    RawClient.Response got = client.send("GET", "/bucket/a?tagging");
    assertThat(got.text())
        .contains(
            "<Tag><Key>k</Key><Value>v</Value></Tag>",
            "<Tag><Key>empty</Key><Value></Value></Tag>",
            "<Tag><Key>sp ace</Key><Value>ä+</Value></Tag>");
    String document =
        "<Tagging><TagSet><Tag><Key>new</Key><Value>1</Value></Tag></TagSet></Tagging>";
    assertThat(client.send("PUT", "/bucket/a?tagging", document).status()).isEqualTo(200);
    RawClient.Response after = client.send("HEAD", "/bucket/a");
    assertThat(after.header("x-amz-tagging-count")).isEqualTo("1");
    assertThat(after.header("etag")).isEqualTo(head.header("etag"));
    assertThat(after.header("last-modified")).isEqualTo(head.header("last-modified"));
    String[] copy = {"x-amz-copy-source", "/bucket/a"};
    assertThat(client.send("PUT", "/bucket/b", "", copy).status()).isEqualTo(200);
    assertThat(client.send("GET", "/bucket/b?tagging").xml("Key")).isEqualTo("new");
    String[] retag = {
      "x-amz-copy-source",
      "/bucket/a",
      "x-amz-tagging-directive",
      "REPLACE",
      "x-amz-tagging",
      "other=2"
    };
    assertThat(client.send("PUT", "/bucket/a", "", retag).status())
        .as("onto itself")
        .isEqualTo(200);
    assertThat(client.send("GET", "/bucket/a?tagging").xml("Key")).isEqualTo("other");
    String[] remeta = {
      "x-amz-copy-source",
      "/bucket/a",
      "x-amz-metadata-directive",
      "REPLACE",
      "x-amz-meta-m",
      "1",
      "x-amz-tagging",
      "ignored=without-directive"
    };
    assertThat(client.send("PUT", "/bucket/c", "", remeta).status()).isEqualTo(200);
    assertThat(client.send("GET", "/bucket/c?tagging").xml("Key")).isEqualTo("other");
    assertThat(client.send("HEAD", "/bucket/c").header("x-amz-meta-m")).isEqualTo("1");
    assertThat(client.send("DELETE", "/bucket/a?tagging").status()).isEqualTo(204);
    assertThat(client.send("HEAD", "/bucket/a").header("x-amz-tagging-count")).isEmpty();
    refused("NoSuchKey", 404, client.send("GET", "/bucket/absent?tagging"));
    refused("NoSuchKey", 404, client.send("PUT", "/bucket/absent?tagging", document));
    refused("NotImplemented", 501, client.send("GET", "/bucket?tagging"));
    refused(
        "InvalidArgument",
        400,
        client.send(
            "PUT",
            "/bucket/d",
            "",
            "x-amz-copy-source",
            "/bucket/a",
            "x-amz-tagging-directive",
            "KEEP"));
  }

  @Test
  void tagsThatS3DoesNotTakeAreRefused() {
    put("a", "x");
    String eleven = "a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1";
    refused("BadRequest", 400, client.send("PUT", "/bucket/b", "", "x-amz-tagging", eleven));
    refused("InvalidTag", 400, client.send("PUT", "/bucket/b", "", "x-amz-tagging", "a=1&a=2"));
    refused("InvalidTag", 400, client.send("PUT", "/bucket/b", "", "x-amz-tagging", "=1"));
    refused(
        "InvalidTag",
        400,
        client.send("PUT", "/bucket/b", "", "x-amz-tagging", "a=" + "v".repeat(257)));
    refused("InvalidTag", 400, client.send("PUT", "/bucket/b", "", "x-amz-tagging", "a=%3C"));
    refused("InvalidArgument", 400, client.send("PUT", "/bucket/b", "", "x-amz-tagging", "a=%zz"));
    refused("MalformedXML", 400, client.send("PUT", "/bucket/a?tagging", "<Tagging/>"));
    refused("MalformedXML", 400, client.send("PUT", "/bucket/a?tagging", ""));
    assertThat(client.send("HEAD", "/bucket/b").status()).isEqualTo(404);
  }

  // --- deletes

  @Test
  void deletesOfManyTakeETagsEachForItself() {
    put("a", "x");
    put("b", "x");
    RawClient.Response answer =
        client.send(
            "POST",
            "/bucket?delete",
            "<Delete><Object><Key>a</Key><ETag>\"no\"</ETag></Object>"
                + "<Object><Key>b</Key><ETag>\"9dd4e461268c8034f5c8564e155c67a6\"</ETag></Object>"
                + "<Object><Key>c</Key><VersionId>7</VersionId></Object></Delete>");
    assertThat(answer.status()).isEqualTo(200);
    assertThat(all(answer.text(), "Code")).containsExactly("PreconditionFailed", "InvalidArgument");
    assertThat(answer.text()).contains("<Deleted><Key>b</Key></Deleted>");
    assertThat(client.send("HEAD", "/bucket/a").status()).isEqualTo(200);
    assertThat(client.send("HEAD", "/bucket/b").status()).isEqualTo(404);
  }

  @Test
  void keysThatDifferOnlyInSlashesAreDifferentObjects() {
    List<String> keys = List.of("k", "k/", "k//", "k//x", "k/x", "k/x/");
    for (String key : keys) {
      put(key, key);
    }
    for (String key : keys) {
      assertThat(client.send("GET", "/bucket/" + key).text()).isEqualTo(key);
    }
    assertThat(all(client.send("GET", "/bucket?list-type=2").text(), "Key")).isEqualTo(keys);
    assertThat(client.send("DELETE", "/bucket/k/").status()).isEqualTo(204);
    assertThat(client.send("HEAD", "/bucket/k/").status()).isEqualTo(404);
    assertThat(client.send("GET", "/bucket/k//").text()).isEqualTo("k//");
  }

  // --- what is not offered

  @Test
  void whatIsNotOfferedIsRefusedByName() {
    put("a", "x");
    for (String resource :
        List.of(
            "lifecycle",
            "website",
            "replication",
            "policy",
            "encryption",
            "notification",
            "object-lock",
            "logging",
            "inventory",
            "metrics",
            "analytics",
            "accelerate",
            "requestPayment",
            "ownershipControls",
            "publicAccessBlock",
            "intelligent-tiering")) {
      for (String method : List.of("GET", "PUT", "DELETE")) {
        RawClient.Response answer = client.send(method, "/bucket?" + resource);
        refused("NotImplemented", 501, answer);
        assertThat(answer.xml("Message")).contains(resource);
      }
    }
    for (String call :
        List.of(
            "PUT ?acl",
            "PUT ?versioning",
            "PUT ?cors",
            "DELETE ?cors",
            "PUT ?tagging",
            "GET /a?torrent",
            "POST /a?restore",
            "POST /a?select&select-type=2",
            "GET /a?retention",
            "PUT /a?legal-hold",
            "PUT /a?acl")) {
      String[] parts = call.split(" ", 2);
      refused("NotImplemented", 501, client.send(parts[0], "/bucket" + parts[1]));
    }
    for (String header :
        List.of(
            "x-amz-server-side-encryption: AES256",
            "x-amz-object-lock-mode: GOVERNANCE",
            "x-amz-website-redirect-location: /x",
            "x-amz-grant-read: id=1",
            "x-amz-acl: public-read")) {
      String[] parts = header.split(": ", 2);
      refused("NotImplemented", 501, client.send("PUT", "/bucket/n", "", parts[0], parts[1]));
    }
    refused(
        "NotImplemented",
        501,
        client.send("PUT", "/locked", "", "x-amz-bucket-object-lock-enabled", "true"));
    // What asks for nothing is taken, as by S3.
    put(
        "n",
        "x",
        "x-amz-acl",
        "private",
        "x-amz-storage-class",
        "STANDARD",
        "x-amz-request-payer",
        "requester",
        "x-amz-expected-bucket-owner",
        "123456789012",
        "x-amz-sdk-checksum-algorithm",
        "CRC32");
  }

  // --- other origins

  @Test
  void pagesOfOtherOriginsAreLetInByTheDoorsRules() {
    put("a", "x");
    RawClient.Response preflight =
        client.send(
            "OPTIONS",
            "/bucket/a",
            "",
            "Origin",
            "https://app.example",
            "Access-Control-Request-Method",
            "PUT",
            "Access-Control-Request-Headers",
            "X-Amz-Date, content-type");
    assertThat(preflight.status()).as(preflight.text()).isEqualTo(200);
    assertThat(preflight.header("access-control-allow-origin")).isEqualTo("https://app.example");
    assertThat(preflight.header("access-control-allow-methods")).isEqualTo("GET, PUT");
    assertThat(preflight.header("access-control-allow-headers"))
        .isEqualTo("x-amz-date, content-type");
    assertThat(preflight.header("access-control-max-age")).isEqualTo("600");
    assertThat(preflight.header("vary")).contains("Origin");
    String[][] wrong = {
      {"Origin", "https://app.other", "Access-Control-Request-Method", "PUT"},
      {"Origin", "https://app.example", "Access-Control-Request-Method", "DELETE"},
      {
        "Origin",
        "https://app.example",
        "Access-Control-Request-Method",
        "PUT",
        "Access-Control-Request-Headers",
        "x-other"
      }
    };
    for (String[] headers : wrong) {
      refused("AccessForbidden", 403, client.send("OPTIONS", "/bucket/a", "", headers));
    }
    refused("BadRequest", 400, client.send("OPTIONS", "/bucket/a"));
    RawClient.Response read = client.send("GET", "/bucket/a", "", "Origin", "https://app.example");
    assertThat(read.header("access-control-allow-origin")).isEqualTo("https://app.example");
    assertThat(read.header("access-control-expose-headers")).isEqualTo("ETag");
    RawClient.Response refusal =
        client.send("GET", "/bucket/absent", "", "Origin", "https://app.example");
    assertThat(refusal.header("access-control-allow-origin"))
        .as("a page may read why it was refused")
        .isEqualTo("https://app.example");
    assertThat(
            client
                .send("GET", "/bucket/a", "", "Origin", "https://app.other")
                .header("access-control-allow-origin"))
        .isEmpty();
    RawClient.Response rules = client.send("GET", "/bucket?cors");
    assertThat(rules.xml("AllowedOrigin")).isEqualTo("https://*.example");
    assertThat(all(rules.text(), "AllowedMethod")).containsExactly("GET", "PUT");
    refused("NoSuchBucket", 404, client.send("GET", "/absent?cors"));
  }
}
