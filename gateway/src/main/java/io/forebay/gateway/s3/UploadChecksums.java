package io.forebay.gateway.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.PartPage;
import io.forebay.core.id.UploadId;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Checksums of multipart uploads ("Checking object integrity" of the Amazon S3 user guide): of the
 * parts' checksums (COMPOSITE, with {@code -N}), or of the whole object (FULL_OBJECT, CRCs only),
 * which follows from those of the parts. Neither reads a byte of the object.
 */
final class UploadChecksums {
  private UploadChecksums() {}

  /** A part as a completion names it, with the checksums that it names, by header. */
  record Named(int number, String etag, Map<String, String> checksums) {}

  private record Kept(PartInfo info, Map<String, String> headers) {}

  private record Kind(String header, String type) {}

  /**
   * What an upload that begins says about its checksum, as headers to keep; empty when it says
   * nothing.
   *
   * @throws S3Refusal INVALID_REQUEST when there is no such checksum
   */
  static Map<String, String> begun(S3Request request) {
    Optional<String> algorithm = request.header(Checksum.ALGORITHM).map(String::strip);
    Optional<String> type = request.header(Checksum.TYPE).map(String::strip);
    if (algorithm.isEmpty()) {
      if (type.isPresent()) {
        throw new S3Refusal(
            S3Code.INVALID_REQUEST, Checksum.TYPE + " needs " + Checksum.ALGORITHM + " beside it");
      }
      return Map.of();
    }
    Kind kind = kind(algorithm.get(), type);
    return Map.of(Checksum.ALGORITHM, Checksum.algorithm(kind.header), Checksum.TYPE, kind.type);
  }

  private static Kind kind(String algorithm, Optional<String> type) {
    String header = Checksum.PREFIX + algorithm.toLowerCase(Locale.ROOT);
    if (!Checksum.HEADERS.contains(header)) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST,
          "Checksum algorithm provided is unsupported. Please try again with any of the valid"
              + " types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    }
    boolean sha = header.contains("-sha");
    boolean crc64 = header.endsWith("crc64nvme");
    String wanted = type.orElse(crc64 ? Checksum.FULL_OBJECT : Checksum.COMPOSITE);
    boolean known = wanted.equals(Checksum.FULL_OBJECT) || wanted.equals(Checksum.COMPOSITE);
    if (!known
        || (sha && wanted.equals(Checksum.FULL_OBJECT))
        || (crc64 && wanted.equals(Checksum.COMPOSITE))) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST,
          "The " + wanted + " checksum type cannot be used with the " + algorithm + " algorithm");
    }
    return new Kind(header, wanted);
  }

  /**
   * The checksum that a completed object gets, as headers. Parts that are not there are left to the
   * completion itself to refuse.
   *
   * @throws ForebayException INVALID_PART; CHECKSUM_MISMATCH when the client announced another
   * @throws S3Refusal INVALID_REQUEST
   */
  static Map<String, String> completed(
      FileService files, S3Request request, UploadId upload, List<Named> named) {
    var kept = new TreeMap<Integer, Kept>();
    Map<String, String> begun = collect(files, request, upload, kept);
    if (kept.isEmpty()) {
      return Map.of(); // completed already, or never begun
    }
    for (Named part : named) {
      Kept found = kept.get(part.number);
      if (found != null && !found.headers.entrySet().containsAll(part.checksums.entrySet())) {
        throw new ForebayException(
            ErrorCode.INVALID_PART,
            "part " + part.number + " has another checksum than the one that was named, or none");
      }
    }
    Optional<Kind> kind = kind(request, begun);
    refuseOthers(request, kind.map(Kind::header));
    if (kind.isEmpty()) {
      return Map.of();
    }
    String header = kind.get().header;
    boolean composite = kind.get().type.equals(Checksum.COMPOSITE);
    Optional<String> announced = request.header(header).map(String::strip);
    var values = new ArrayList<byte[]>(named.size());
    var lengths = new ArrayList<Long>(named.size());
    for (Named part : named) {
      Kept found = kept.get(part.number);
      if (found == null || !found.info.etag().equals(part.etag)) {
        return Map.of();
      }
      String value = found.headers.get(header);
      if (value == null) {
        if (announced.isPresent()) {
          throw new S3Refusal(
              S3Code.INVALID_REQUEST,
              header + " cannot be checked: part " + part.number + " was sent without one");
        }
        return Map.of();
      }
      values.add(Base64.getDecoder().decode(value));
      lengths.add(found.info.lengthBytes());
    }
    byte[] sum = composite ? ofChecksums(header, values) : ofWhole(header, values, lengths);
    String text = Base64.getEncoder().encodeToString(sum);
    String value = composite ? text + "-" + named.size() : text;
    if (announced.isPresent() && !announced.get().equals(value) && !announced.get().equals(text)) {
      throw new ForebayException(
          ErrorCode.CHECKSUM_MISMATCH, "the object does not have the checksum of " + header);
    }
    return Map.of(header, value, Checksum.TYPE, kind.get().type);
  }

  /** Refuses what a client announces and nobody would compare: it relies on that. */
  private static void refuseOthers(S3Request request, Optional<String> compared) {
    for (String header : Checksum.HEADERS) {
      if (request.header(header).isPresent() && !compared.equals(Optional.of(header))) {
        throw new S3Refusal(
            S3Code.INVALID_REQUEST,
            header
                + " cannot be checked: "
                + compared
                    .map(other -> "the checksum of this upload is " + Checksum.algorithm(other))
                    .orElse("the upload was begun without " + Checksum.ALGORITHM));
      }
    }
  }

  /** Reads all parts of the upload; returns the headers that it was begun with. */
  private static Map<String, String> collect(
      FileService files, S3Request request, UploadId upload, Map<Integer, Kept> kept) {
    int after = 0;
    while (true) {
      PartPage page;
      try {
        page = files.listParts(request.bucket(), request.key(), upload, after, ListQuery.MAX);
      } catch (ForebayException gone) {
        if (gone.code() == ErrorCode.NO_SUCH_UPLOAD) {
          kept.clear();
          return Map.of();
        }
        throw gone;
      }
      for (int i = 0; i < page.parts().size(); i++) {
        PartInfo part = page.parts().get(i);
        kept.put(part.number(), new Kept(part, page.headers().get(i)));
        after = part.number();
      }
      if (!page.more()) {
        return page.uploadHeaders();
      }
    }
  }

  private static Optional<Kind> kind(S3Request request, Map<String, String> begun) {
    Optional<String> type = request.header(Checksum.TYPE).map(String::strip);
    @Nullable String algorithm = begun.get(Checksum.ALGORITHM);
    if (algorithm == null) {
      // S3 takes a checksum of the whole object then, if it is one that follows from the parts'.
      for (String header : Checksum.HEADERS) {
        if (header.contains("-crc") && request.header(header).isPresent()) {
          return Optional.of(new Kind(header, Checksum.FULL_OBJECT));
        }
      }
      return Optional.empty();
    }
    Kind kind = kind(algorithm, Optional.ofNullable(begun.get(Checksum.TYPE)));
    if (type.isPresent() && !type.get().equals(kind.type)) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST,
          "The upload was created using the "
              + kind.type
              + " checksum type. The complete request must use the same checksum type.");
    }
    return Optional.of(kind);
  }

  private static byte[] ofChecksums(String header, List<byte[]> values) {
    Checksum sum = Checksum.ofHeader(header).orElseThrow();
    values.forEach(value -> sum.update(ByteBuffer.wrap(value)));
    return sum.value();
  }

  private static byte[] ofWhole(String header, List<byte[]> values, List<Long> lengths) {
    CrcCombiner combiner = CrcCombiner.valueOf(Checksum.algorithm(header));
    long sum = 0;
    int bytes = values.getFirst().length;
    for (int i = 0; i < values.size(); i++) {
      long value = 0;
      for (byte b : values.get(i)) {
        value = value << 8 | (b & 0xFF);
      }
      sum = i == 0 ? value : combiner.combine(sum, value, lengths.get(i));
    }
    return bytes == 4
        ? ByteBuffer.allocate(4).putInt((int) sum).array()
        : ByteBuffer.allocate(8).putLong(sum).array();
  }
}
