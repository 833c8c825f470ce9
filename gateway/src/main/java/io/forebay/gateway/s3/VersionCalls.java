package io.forebay.gateway.s3;

import io.forebay.core.file.FileService;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ObjectInfo;
import java.util.Optional;

/** ListObjectVersions, where every object has the one version {@code null}. */
final class VersionCalls {
  private final FileService files;

  VersionCalls(FileService files) {
    this.files = files;
  }

  void list(S3Call call) {
    S3Request request = call.request();
    String prefix = request.param("prefix").orElse("");
    String delimiter = request.param("delimiter").orElse("");
    String marker = request.param("key-marker").orElse("");
    Optional<String> version = request.param("version-id-marker").filter(text -> !text.isEmpty());
    if (version.isPresent() && marker.isEmpty()) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT, "A version-id marker cannot be specified without a key marker.");
    }
    int max = BucketCalls.maxKeys(request);
    boolean url = BucketCalls.urlEncoded(request);
    // The one version of the marker's key has been listed: go on behind the key.
    ListPage page = BucketCalls.page(files, request, prefix, delimiter, marker, max);
    var xml = new XmlText("ListVersionsResult");
    xml.leaf("Name", request.bucket())
        .leaf("Prefix", BucketCalls.coded(prefix, url))
        .leaf("KeyMarker", BucketCalls.coded(marker, url))
        .leaf("VersionIdMarker", version.orElse(""))
        .leaf("MaxKeys", max)
        .leaf("IsTruncated", page.next().isPresent());
    if (!delimiter.isEmpty()) {
      xml.leaf("Delimiter", BucketCalls.coded(delimiter, url));
    }
    if (url) {
      xml.leaf("EncodingType", "url");
    }
    page.next()
        .ifPresent(next ->
            xml.leaf("NextKeyMarker", BucketCalls.coded(next, url))
                .leaf("NextVersionIdMarker", "null"));
    for (ObjectInfo object : page.objects()) {
      xml.open("Version")
          .leaf("Key", BucketCalls.coded(object.key(), url))
          .leaf("VersionId", "null")
          .leaf("IsLatest", true)
          .time("LastModified", object.modifiedMillis())
          .leaf("ETag", "\"" + object.etag() + "\"");
      BucketCalls.checksums(xml, object);
      xml.leaf("Size", object.lengthBytes());
      BucketCalls.owner(xml, "Owner");
      xml.leaf("StorageClass", "STANDARD").close("Version");
    }
    BucketCalls.prefixes(xml, page, url);
    call.answer(200, xml);
  }
}
