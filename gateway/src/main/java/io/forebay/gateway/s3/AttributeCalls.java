package io.forebay.gateway.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectPart;
import io.forebay.core.file.ObjectParts;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** GetObjectAttributes. */
final class AttributeCalls {
  private static final String WANTED = "x-amz-object-attributes";
  private static final Set<String> KNOWN =
      Set.of("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize");

  private final FileService files;

  AttributeCalls(FileService files) {
    this.files = files;
  }

  void get(S3Call call) {
    S3Request request = call.request();
    Set<String> wanted = wanted(request);
    ObjectInfo info =
        files
            .stat(request.bucket(), request.key())
            .orElseThrow(() ->
                new ForebayException(ErrorCode.NOT_FOUND, "The specified key does not exist."));
    Map<String, String> headers = info.metadata().headers();
    boolean summed = !Checksum.among(headers).isEmpty();
    var xml = new XmlText("GetObjectAttributesResponse");
    if (wanted.contains("ETag")) {
      xml.leaf("ETag", info.etag()); // without quotes, here only
    }
    if (wanted.contains("Checksum") && summed) {
      xml.open("Checksum");
      Checksum.write(xml, headers);
      xml.leaf("ChecksumType", headers.getOrDefault(Checksum.TYPE, Checksum.FULL_OBJECT))
          .close("Checksum");
    }
    if (wanted.contains("ObjectParts")) {
      Optional<Integer> count = PartReads.partsCount(files, info);
      if (count.isPresent()) {
        parts(xml, request, info, count.get(), summed);
      }
    }
    if (wanted.contains("StorageClass")) {
      xml.leaf("StorageClass", "STANDARD");
    }
    if (wanted.contains("ObjectSize")) {
      xml.leaf("ObjectSize", info.lengthBytes());
    }
    List<Header> answer = call.headers();
    answer.add(new Header("Last-Modified", HttpExchange.httpDate(info.modifiedMillis())));
    call.answer(xml.answer(200, answer));
  }

  private static Set<String> wanted(S3Request request) {
    var wanted = new TreeSet<String>();
    for (String line : request.head().headers().values(WANTED)) {
      for (String name : line.split(",", -1)) {
        if (!name.isBlank()) {
          wanted.add(name.strip());
        }
      }
    }
    if (wanted.isEmpty() || !KNOWN.containsAll(wanted)) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT,
          WANTED + " must name some of ETag, Checksum, ObjectParts, StorageClass, ObjectSize");
    }
    return wanted;
  }

  /** Parts themselves are told of objects with a checksum only, as S3 does. */
  private void parts(XmlText xml, S3Request request, ObjectInfo info, int count, boolean summed) {
    int marker = number(request, "x-amz-part-number-marker", 0);
    int max = Math.min(number(request, "x-amz-max-parts", ListQuery.MAX), ListQuery.MAX);
    List<ObjectPart> told = new ArrayList<>();
    boolean more = false;
    if (summed && max > 0) {
      ObjectParts page = files.partsOf(info.bucket(), info.key(), info.generation(), marker, max);
      told.addAll(page.parts());
      more = page.more();
    }
    xml.open("ObjectParts").leaf("PartsCount", count);
    if (summed) {
      xml.leaf("PartNumberMarker", marker)
          .leaf("NextPartNumberMarker", told.isEmpty() ? 0 : told.getLast().number())
          .leaf("MaxParts", max)
          .leaf("IsTruncated", more);
    }
    for (ObjectPart part : told) {
      xml.open("Part").leaf("PartNumber", part.number()).leaf("Size", part.lengthBytes());
      Checksum.write(xml, part.headers());
      xml.close("Part");
    }
    xml.close("ObjectParts");
  }

  private static int number(S3Request request, String header, int otherwise) {
    String text = request.header(header).orElse("").strip();
    if (text.isEmpty()) {
      return otherwise;
    }
    try {
      int number = Integer.parseInt(text);
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException notANumber) {
      // refused below
    }
    throw new S3Refusal(S3Code.INVALID_ARGUMENT, header + " must be a whole number from 0");
  }
}
