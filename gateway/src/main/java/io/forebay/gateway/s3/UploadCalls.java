package io.forebay.gateway.s3;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.ByteRange;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.PartPage;
import io.forebay.core.file.UploadInfo;
import io.forebay.core.file.UploadPage;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.UploadId;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** S3's calls on multipart uploads. */
final class UploadCalls {
  private static final Pattern SOURCE_RANGE = Pattern.compile("bytes=(\\d{1,18})-(\\d{1,18})");

  private final FileService files;
  private final SlabPool pool;
  private final Env env;
  private final S3Counters counters;

  UploadCalls(FileService files, SlabPool pool, Env env, S3Counters counters) {
    this.files = files;
    this.pool = pool;
    this.env = env;
    this.counters = counters;
  }

  void create(S3Call call) {
    S3Request request = call.request();
    ObjectKey.check(request.key());
    ObjectHeaders.refuseUnknownWishes(request);
    Map<String, String> sums = UploadChecksums.begun(request);
    ObjectMetadata metadata = ObjectHeaders.metadata(request, sums);
    UploadId id = files.createUpload(request.bucket(), request.key(), metadata);
    var xml = new XmlText("InitiateMultipartUploadResult");
    xml.leaf("Bucket", request.bucket()).leaf("Key", request.key()).leaf("UploadId", text(id));
    List<Header> headers = call.headers();
    sums.forEach((name, value) -> headers.add(new Header(name, value)));
    call.answer(xml.answer(200, headers));
  }

  void putPart(S3Call call) {
    S3Request request = call.request();
    if (!request.head().chunked() && request.head().contentLength().isEmpty()) {
      throw new S3Refusal(
          S3Code.MISSING_CONTENT_LENGTH, "You must provide the Content-Length HTTP header.");
    }
    var body = new IncomingBody(request, call.caller());
    var options =
        new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, body.expectedBytes(), true);
    PartInfo made;
    try (BodyWriter<PartInfo> writer =
        files.createPart(
            request.bucket(), request.key(), id(request), partNumber(request), options)) {
      Optional<String> md5 = body.receive(call.exchange().body(), writer, pool, env);
      made = writer.publish(md5, body.announcedChecksums());
    } finally {
      counters.received(body.receivedBytes());
    }
    List<Header> headers = call.headers();
    headers.add(new Header("ETag", "\"" + made.etag() + "\""));
    body.announcedChecksums().forEach((name, value) -> headers.add(new Header(name, value)));
    call.answer(Answer.empty(200, headers));
  }

  void copyPart(S3Call call) {
    S3Request request = call.request();
    CopySource source = CopySource.parse(request.header("x-amz-copy-source").orElse(""));
    call.caller().rights().require(KeyRight.READ, source.bucket());
    Optional<ByteRange> range = request.header("x-amz-copy-source-range").map(UploadCalls::range);
    PartInfo made =
        ObjectCalls.ofSource(() ->
            files.copyPart(
                request.bucket(),
                request.key(),
                id(request),
                partNumber(request),
                source.bucket(),
                source.key(),
                Conditions.read(request, "x-amz-copy-source-"),
                range));
    var xml = new XmlText("CopyPartResult");
    xml.time("LastModified", made.modifiedMillis()).leaf("ETag", "\"" + made.etag() + "\"");
    call.answer(200, xml);
  }

  private static ByteRange range(String text) {
    Matcher form = SOURCE_RANGE.matcher(text.strip());
    if (form.matches()) {
      long first = Long.parseLong(form.group(1));
      long last = Long.parseLong(form.group(2));
      if (first <= last) {
        return new ByteRange(first, last - first + 1);
      }
    }
    throw new S3Refusal(
        S3Code.INVALID_ARGUMENT, "x-amz-copy-source-range must be bytes=FIRST-LAST");
  }

  void listParts(S3Call call) {
    S3Request request = call.request();
    int marker = request.number("part-number-marker", 0);
    int max = page(request.number("max-parts", ListQuery.MAX));
    UploadId id = id(request);
    PartPage page = files.listParts(request.bucket(), request.key(), id, marker, max);
    var xml = new XmlText("ListPartsResult");
    xml.leaf("Bucket", request.bucket())
        .leaf("Key", BucketCalls.coded(request.key(), BucketCalls.urlEncoded(request)))
        .leaf("UploadId", text(id))
        .leaf("PartNumberMarker", marker)
        .leaf("MaxParts", max)
        .leaf("IsTruncated", page.more())
        .leaf("StorageClass", "STANDARD");
    if (page.more()) {
      xml.leaf("NextPartNumberMarker", page.parts().getLast().number());
    }
    String algorithm = page.uploadHeaders().get(Checksum.ALGORITHM);
    if (algorithm != null) {
      xml.leaf("ChecksumAlgorithm", algorithm)
          .leaf("ChecksumType", page.uploadHeaders().getOrDefault(Checksum.TYPE, ""));
    }
    for (int i = 0; i < page.parts().size(); i++) {
      PartInfo part = page.parts().get(i);
      xml.open("Part")
          .leaf("PartNumber", part.number())
          .time("LastModified", part.modifiedMillis())
          .leaf("ETag", "\"" + part.etag() + "\"")
          .leaf("Size", part.lengthBytes());
      Checksum.write(xml, page.headers().get(i));
      xml.close("Part");
    }
    call.answer(200, xml);
  }

  void listUploads(S3Call call) {
    S3Request request = call.request();
    if (!request.param("delimiter").orElse("").isEmpty()) {
      throw new S3Refusal(
          S3Code.NOT_IMPLEMENTED, "ListMultipartUploads with a delimiter is not implemented");
    }
    String prefix = request.param("prefix").orElse("");
    String keyMarker = request.param("key-marker").orElse("");
    Optional<UploadId> idMarker =
        request.param("upload-id-marker").filter(text -> !text.isEmpty()).map(UploadCalls::id);
    int max = page(request.number("max-uploads", ListQuery.MAX));
    boolean url = BucketCalls.urlEncoded(request);
    UploadPage page = files.listUploads(request.bucket(), prefix, keyMarker, idMarker, max);
    var xml = new XmlText("ListMultipartUploadsResult");
    xml.leaf("Bucket", request.bucket())
        .leaf("KeyMarker", BucketCalls.coded(keyMarker, url))
        .leaf("UploadIdMarker", idMarker.map(UploadCalls::text).orElse(""))
        .leaf("Prefix", BucketCalls.coded(prefix, url))
        .leaf("MaxUploads", max)
        .leaf("IsTruncated", page.more());
    if (url) {
      xml.leaf("EncodingType", "url");
    }
    if (page.more()) {
      UploadInfo last = page.uploads().getLast();
      xml.leaf("NextKeyMarker", BucketCalls.coded(last.key(), url))
          .leaf("NextUploadIdMarker", text(last.id()));
    }
    for (UploadInfo upload : page.uploads()) {
      xml.open("Upload")
          .leaf("Key", BucketCalls.coded(upload.key(), url))
          .leaf("UploadId", text(upload.id()));
      BucketCalls.owner(xml, "Initiator");
      BucketCalls.owner(xml, "Owner");
      xml.leaf("StorageClass", "STANDARD")
          .time("Initiated", upload.createdMillis())
          .close("Upload");
    }
    call.answer(200, xml);
  }

  void complete(S3Call call) {
    S3Request request = call.request();
    UploadId id = id(request);
    WriteConditions conditions = Conditions.write(request);
    OptionalLong expected = OptionalLong.empty();
    Optional<String> size = request.header("x-amz-mp-object-size");
    if (size.isPresent()) {
      expected = OptionalLong.of(whole(size.get(), "x-amz-mp-object-size"));
    }
    var parts = new ArrayList<CompletedPart>();
    var named = new ArrayList<UploadChecksums.Named>();
    for (XmlElement part : call.documentUnderSums("CompleteMultipartUpload").all("Part")) {
      if (parts.size() == PartInfo.MAX_NUMBER) {
        throw XmlElement.malformed("an upload has at most " + PartInfo.MAX_NUMBER + " parts");
      }
      long number = whole(part.need("PartNumber"), "PartNumber");
      if (number < 1 || number > PartInfo.MAX_NUMBER) {
        throw new S3Refusal(
            S3Code.INVALID_ARGUMENT, "a part number is 1 to " + PartInfo.MAX_NUMBER);
      }
      String etag = Conditions.etag(part.need("ETag"));
      parts.add(new CompletedPart((int) number, etag));
      var sums = new TreeMap<String, String>();
      for (String header : Checksum.HEADERS) {
        part.text(Checksum.element(header)).ifPresent(value -> sums.put(header, value.strip()));
      }
      named.add(new UploadChecksums.Named((int) number, etag, sums));
    }
    if (parts.isEmpty()) {
      throw XmlElement.malformed("an upload is completed with at least one part");
    }
    Map<String, String> sums = UploadChecksums.completed(files, request, id, named);
    ObjectInfo made =
        files.completeUpload(
            request.bucket(), request.key(), id, parts, conditions, expected, sums);
    String host = request.header("host").orElse("localhost");
    var xml = new XmlText("CompleteMultipartUploadResult");
    xml.leaf(
            "Location", request.head().scheme() + host + PercentCoding.encode(request.path(), true))
        .leaf("Bucket", request.bucket())
        .leaf("Key", request.key())
        .leaf("ETag", "\"" + made.etag() + "\"");
    Map<String, String> kept = made.metadata().headers();
    if (!Checksum.among(kept).isEmpty()) {
      Checksum.write(xml, kept);
      xml.leaf("ChecksumType", kept.getOrDefault(Checksum.TYPE, Checksum.FULL_OBJECT));
    }
    call.answer(200, xml);
  }

  void abort(S3Call call) {
    S3Request request = call.request();
    files.abortUpload(request.bucket(), request.key(), id(request));
    call.empty(204);
  }

  private static long whole(String text, String name) {
    try {
      long number = Long.parseLong(text.strip());
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException notANumber) {
      // refused below
    }
    throw new S3Refusal(S3Code.INVALID_ARGUMENT, name + " must be a whole number");
  }

  private static int page(int wanted) {
    return Math.clamp(wanted, 1, ListQuery.MAX);
  }

  private static int partNumber(S3Request request) {
    int number = request.number("partNumber", 0);
    if (number < 1 || number > PartInfo.MAX_NUMBER) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT,
          "Part number must be an integer between 1 and " + PartInfo.MAX_NUMBER);
    }
    return number;
  }

  private static String text(UploadId id) {
    return HexFormat.of().toHexDigits(id.value());
  }

  private static UploadId id(S3Request request) {
    return id(request.param("uploadId").orElse(""));
  }

  private static UploadId id(String text) {
    try {
      return new UploadId(HexFormat.fromHexDigitsToLong(text));
    } catch (IllegalArgumentException notOurs) {
      throw new ForebayException(
          ErrorCode.NO_SUCH_UPLOAD, "The specified upload does not exist.", notOurs);
    }
  }
}
