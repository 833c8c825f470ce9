package io.forebay.gateway.s3;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketName;
import io.forebay.core.file.DeleteResult;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.WriteConditions;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** S3's calls on buckets, and on many objects at once. */
final class BucketCalls {
  private static final String OWNER = "forebay";

  private final FileService files;
  private final S3Config config;

  BucketCalls(FileService files, S3Config config) {
    this.files = files;
    this.config = config;
  }

  void listBuckets(S3Call call) {
    var xml = new XmlText("ListAllMyBucketsResult");
    owner(xml, "Owner");
    xml.open("Buckets");
    for (Bucket bucket : files.listBuckets()) {
      if (!call.caller().rights().may(KeyRight.READ, bucket.name())) {
        continue;
      }
      xml.open("Bucket")
          .leaf("Name", bucket.name())
          .time("CreationDate", bucket.createdMillis())
          .close("Bucket");
    }
    call.answer(200, xml.close("Buckets"));
  }

  void create(S3Call call) {
    ObjectHeaders.refuseUnknownWishes(call.request());
    if (call.request()
        .header("x-amz-bucket-object-lock-enabled")
        .filter(text -> text.strip().equalsIgnoreCase("true"))
        .isPresent()) {
      throw new S3Refusal(
          S3Code.NOT_IMPLEMENTED, "x-amz-bucket-object-lock-enabled is not implemented");
    }
    String name = BucketName.check(call.request().bucket());
    byte[] body =
        new IncomingBody(call.request(), call.caller())
            .collect(call.exchange().body(), XmlElement.MAX_BYTES);
    if (body.length > 0) {
      Optional<String> location =
          XmlElement.parse(body, "CreateBucketConfiguration").text("LocationConstraint");
      if (location.isPresent()
          && !location.get().isEmpty()
          && !location.get().equals(config.region())) {
        throw new S3Refusal(
            S3Code.INVALID_LOCATION,
            "the location constraint must be this door's region, '" + config.region() + "'");
      }
    }
    files.createBucket(config.newBucket().apply(name));
    List<Header> headers = call.headers();
    headers.add(new Header("Location", "/" + name));
    call.answer(Answer.empty(200, headers));
  }

  void head(S3Call call) {
    require(call);
    List<Header> headers = call.headers();
    headers.add(new Header("x-amz-bucket-region", config.region()));
    call.answer(Answer.empty(200, headers));
  }

  void delete(S3Call call) {
    files.deleteBucket(call.request().bucket());
    call.empty(204);
  }

  void location(S3Call call) {
    require(call);
    var xml = new XmlText("LocationConstraint");
    byte[] document = xml.bytes();
    if (!config.region().equals(S3Config.DEFAULT_REGION)) {
      String text = new String(document, StandardCharsets.UTF_8);
      document =
          text.replace("></Loc", ">" + config.region() + "</Loc").getBytes(StandardCharsets.UTF_8);
    }
    List<Header> headers = call.headers();
    headers.add(new Header("Content-Type", "application/xml"));
    call.answer(new Answer(200, headers, document));
  }

  void versioning(S3Call call) {
    require(call);
    call.answer(200, new XmlText("VersioningConfiguration"));
  }

  /** The only list there is: the owner may do everything, nobody else anything. */
  void acl(S3Call call) {
    S3Request request = call.request();
    if (request.key().isEmpty()) {
      require(call);
    } else if (files.stat(request.bucket(), request.key()).isEmpty()) {
      throw new ForebayException(ErrorCode.NOT_FOUND, "The specified key does not exist.");
    }
    var xml = new XmlText("AccessControlPolicy");
    owner(xml, "Owner");
    xml.open("AccessControlList")
        .open("Grant")
        .open(
            "Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
                + " xsi:type=\"CanonicalUser\"")
        .leaf("ID", OWNER)
        .leaf("DisplayName", OWNER)
        .close("Grantee")
        .leaf("Permission", "FULL_CONTROL")
        .close("Grant")
        .close("AccessControlList");
    call.answer(200, xml);
  }

  void listV2(S3Call call) {
    S3Request request = call.request();
    String prefix = request.param("prefix").orElse("");
    String delimiter = request.param("delimiter").orElse("");
    Optional<String> token = request.param("continuation-token");
    String startAfter = request.param("start-after").orElse("");
    int max = maxKeys(request);
    boolean url = urlEncoded(request);
    ListPage page =
        page(
            files,
            request,
            prefix,
            delimiter,
            token.map(BucketCalls::decode).orElse(startAfter),
            max);
    var xml = new XmlText("ListBucketResult");
    xml.leaf("Name", request.bucket())
        .leaf("Prefix", coded(prefix, url))
        .leaf("MaxKeys", max)
        .leaf("KeyCount", page.objects().size() + page.commonPrefixes().size())
        .leaf("IsTruncated", page.next().isPresent());
    if (!delimiter.isEmpty()) {
      xml.leaf("Delimiter", coded(delimiter, url));
    }
    if (url) {
      xml.leaf("EncodingType", "url");
    }
    token.ifPresent(text -> xml.leaf("ContinuationToken", text));
    page.next().ifPresent(next -> xml.leaf("NextContinuationToken", encode(next)));
    if (!startAfter.isEmpty()) {
      xml.leaf("StartAfter", coded(startAfter, url));
    }
    contents(xml, page, url, request.param("fetch-owner").orElse("").equals("true"));
    call.answer(200, xml);
  }

  void listV1(S3Call call) {
    S3Request request = call.request();
    String prefix = request.param("prefix").orElse("");
    String delimiter = request.param("delimiter").orElse("");
    String marker = request.param("marker").orElse("");
    int max = maxKeys(request);
    boolean url = urlEncoded(request);
    ListPage page = page(files, request, prefix, delimiter, marker, max);
    var xml = new XmlText("ListBucketResult");
    xml.leaf("Name", request.bucket())
        .leaf("Prefix", coded(prefix, url))
        .leaf("Marker", coded(marker, url))
        .leaf("MaxKeys", max)
        .leaf("IsTruncated", page.next().isPresent());
    if (!delimiter.isEmpty()) {
      xml.leaf("Delimiter", coded(delimiter, url));
    }
    if (url) {
      xml.leaf("EncodingType", "url");
    }
    page.next().ifPresent(next -> xml.leaf("NextMarker", coded(next, url)));
    contents(xml, page, url, true);
    call.answer(200, xml);
  }

  static int maxKeys(S3Request request) {
    return Math.min(request.number("max-keys", ListQuery.MAX), ListQuery.MAX);
  }

  static ListPage page(
      FileService files,
      S3Request request,
      String prefix,
      String delimiter,
      String startAfter,
      int max) {
    if (max == 0) {
      requireBucket(files, request.bucket());
      return new ListPage(List.of(), List.of(), Optional.empty());
    }
    return files.list(request.bucket(), new ListQuery(prefix, delimiter, startAfter, max));
  }

  private static void contents(XmlText xml, ListPage page, boolean url, boolean withOwner) {
    for (ObjectInfo object : page.objects()) {
      xml.open("Contents")
          .leaf("Key", coded(object.key(), url))
          .time("LastModified", object.modifiedMillis())
          .leaf("ETag", "\"" + object.etag() + "\"");
      checksums(xml, object);
      xml.leaf("Size", object.lengthBytes());
      if (withOwner) {
        owner(xml, "Owner");
      }
      xml.leaf("StorageClass", "STANDARD").close("Contents");
    }
    prefixes(xml, page, url);
  }

  /** Which checksum an object has, if it has one. */
  static void checksums(XmlText xml, ObjectInfo object) {
    Map<String, String> headers = object.metadata().headers();
    Set<String> sums = Checksum.among(headers).keySet();
    for (String header : sums) {
      xml.leaf("ChecksumAlgorithm", Checksum.algorithm(header));
    }
    if (!sums.isEmpty()) {
      xml.leaf("ChecksumType", headers.getOrDefault(Checksum.TYPE, Checksum.FULL_OBJECT));
    }
  }

  static void prefixes(XmlText xml, ListPage page, boolean url) {
    for (String prefix : page.commonPrefixes()) {
      xml.open("CommonPrefixes").leaf("Prefix", coded(prefix, url)).close("CommonPrefixes");
    }
  }

  void deleteObjects(S3Call call) {
    XmlElement document = call.document("Delete");
    List<XmlElement> objects = document.all("Object");
    if (objects.isEmpty() || objects.size() > ListQuery.MAX) {
      throw XmlElement.malformed("a Delete names 1 to " + ListQuery.MAX + " objects");
    }
    var results = new ArrayList<DeleteResult>(objects.size());
    var keys = new ArrayList<String>(objects.size());
    for (XmlElement object : objects) {
      String key = object.need("Key");
      String version = object.text("VersionId").orElse("null");
      Optional<String> etag = object.text("ETag").map(Conditions::etag);
      if (!version.equals("null")) {
        results.add(
            refused(key, ErrorCode.INVALID_ARGUMENT, "the only version of an object is 'null'"));
      } else if (object.text("Size").isPresent() || object.text("LastModifiedTime").isPresent()) {
        results.add(
            refused(
                key,
                ErrorCode.NOT_IMPLEMENTED,
                "a delete on condition of Size or LastModifiedTime is not implemented; name the"
                    + " ETag"));
      } else if (etag.isPresent()) {
        results.add(deleteIf(call.request().bucket(), key, etag.get()));
      } else {
        keys.add(key);
      }
    }
    if (!keys.isEmpty()) {
      results.addAll(files.deleteMany(call.request().bucket(), keys));
    }
    boolean quiet = document.text("Quiet").orElse("").strip().equalsIgnoreCase("true");
    var xml = new XmlText("DeleteResult");
    for (DeleteResult result : results) {
      if (result.failure().isPresent()) {
        ForebayException failure = result.failure().get();
        xml.open("Error")
            .leaf("Key", result.key())
            .leaf("Code", failure.code().s3Code())
            .leaf("Message", String.valueOf(failure.getMessage()))
            .close("Error");
      } else if (!quiet) {
        xml.open("Deleted").leaf("Key", result.key()).close("Deleted");
      }
    }
    call.answer(200, xml);
  }

  private static DeleteResult refused(String key, ErrorCode code, String why) {
    return new DeleteResult(key, Optional.of(new ForebayException(code, why)));
  }

  private DeleteResult deleteIf(String bucket, String key, String etag) {
    try {
      var _ = files.delete(bucket, key, new WriteConditions(Optional.of(etag), false));
      return new DeleteResult(key, Optional.empty());
    } catch (ForebayException refused) {
      if (refused.code() == ErrorCode.NO_SUCH_BUCKET) {
        throw refused;
      }
      return new DeleteResult(key, Optional.of(refused));
    }
  }

  /** The same work, once the bucket is known to be there. */
  S3Door.Work existing(S3Door.Work work) {
    return call -> {
      require(call);
      work.run(call);
    };
  }

  private void require(S3Call call) {
    requireBucket(files, call.request().bucket());
  }

  private static void requireBucket(FileService files, String name) {
    if (files.bucket(name).isEmpty()) {
      throw new ForebayException(ErrorCode.NO_SUCH_BUCKET, "The specified bucket does not exist");
    }
  }

  static void owner(XmlText xml, String element) {
    xml.open(element).leaf("ID", OWNER).leaf("DisplayName", OWNER).close(element);
  }

  static boolean urlEncoded(S3Request request) {
    Optional<String> type = request.param("encoding-type");
    if (type.isPresent() && !type.get().equals("url")) {
      throw new S3Refusal(S3Code.INVALID_ARGUMENT, "encoding-type must be url");
    }
    return type.isPresent();
  }

  static String coded(String text, boolean url) {
    return url ? PercentCoding.encode(text, true) : text;
  }

  private static String encode(String next) {
    return Base64.getUrlEncoder()
        .withoutPadding()
        .encodeToString(next.getBytes(StandardCharsets.UTF_8));
  }

  private static String decode(String token) {
    try {
      return new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8);
    } catch (IllegalArgumentException notOurs) {
      throw new S3Refusal(S3Code.INVALID_ARGUMENT, "the continuation token is not one of ours");
    }
  }
}
