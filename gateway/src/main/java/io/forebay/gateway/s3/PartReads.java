package io.forebay.gateway.s3;

import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectPart;
import io.forebay.core.file.ObjectParts;
import io.forebay.core.file.PartInfo;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Parts of objects that are there, as {@code ?partNumber=} and GetObjectAttributes ask for them.
 */
final class PartReads {
  private static final Pattern COUNT = Pattern.compile(".*-(\\d{1,5})");

  private PartReads() {}

  /**
   * A part that is wanted.
   *
   * @param count of all parts; empty for an object that is not of parts
   */
  record Wanted(ObjectPart part, Optional<Integer> count) {}

  /**
   * The part that the query names.
   *
   * @return empty: it names none
   * @throws S3Refusal INVALID_REQUEST (a range as well), INVALID_ARGUMENT, INVALID_PART_NUMBER
   */
  static Optional<Wanted> wanted(FileService files, S3Request request, ObjectInfo info) {
    if (!request.has("partNumber")) {
      return Optional.empty();
    }
    if (request.header("range").isPresent()) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST,
          "Cannot specify both Range header and partNumber query parameter");
    }
    int number = request.number("partNumber", 0);
    if (number < 1 || number > PartInfo.MAX_NUMBER) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT,
          "Part number must be an integer between 1 and " + PartInfo.MAX_NUMBER);
    }
    Optional<Integer> count = count(info);
    if (count.isPresent()) {
      ObjectParts page = files.partsOf(info.bucket(), info.key(), info.generation(), number - 1, 1);
      if (!page.parts().isEmpty() && page.parts().getFirst().number() == number) {
        return Optional.of(new Wanted(page.parts().getFirst(), count));
      }
      if (known(files, info)) {
        throw none();
      }
    }
    if (number != 1) {
      throw none();
    }
    var whole = new ObjectPart(1, 0, info.lengthBytes(), Map.of());
    return Optional.of(new Wanted(whole, Optional.empty()));
  }

  /** How many parts an object was made of; empty when it came otherwise. */
  static Optional<Integer> partsCount(FileService files, ObjectInfo info) {
    return count(info).filter(count -> known(files, info));
  }

  private static boolean known(FileService files, ObjectInfo info) {
    return !files.partsOf(info.bucket(), info.key(), info.generation(), 0, 1).parts().isEmpty();
  }

  /** What the ETag says; large bodies of one part say 1, and are not of parts. */
  private static Optional<Integer> count(ObjectInfo info) {
    Matcher form = COUNT.matcher(info.etag());
    return form.matches() ? Optional.of(Integer.parseInt(form.group(1))) : Optional.empty();
  }

  private static S3Refusal none() {
    return new S3Refusal(S3Code.INVALID_PART_NUMBER, "The requested partnumber is not satisfiable");
  }
}
