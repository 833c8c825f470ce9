package io.forebay.gateway.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import java.util.Map;

/** S3's calls on an object's tags. */
final class TagCalls {
  private final FileService files;

  TagCalls(FileService files) {
    this.files = files;
  }

  void get(S3Call call) {
    S3Request request = call.request();
    ObjectInfo info =
        files
            .stat(request.bucket(), request.key())
            .orElseThrow(() ->
                new ForebayException(ErrorCode.NOT_FOUND, "The specified key does not exist."));
    var xml = new XmlText("Tagging");
    xml.open("TagSet");
    Tags.among(info.metadata().headers())
        .byKey()
        .forEach(
            (key, value) -> xml.open("Tag").leaf("Key", key).leaf("Value", value).close("Tag"));
    call.answer(200, xml.close("TagSet"));
  }

  void put(S3Call call) {
    set(call, Tags.ofDocument(call.document("Tagging")).text());
    call.empty(200);
  }

  void delete(S3Call call) {
    set(call, "");
    call.empty(204);
  }

  private void set(S3Call call, String tags) {
    S3Request request = call.request();
    var _ = files.changeHeaders(request.bucket(), request.key(), Map.of(Tags.HEADER, tags));
  }
}
