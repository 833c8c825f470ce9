package io.forebay.gateway.s3;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * An object's tags. They are kept with its metadata, as the header {@code x-amz-tagging} writes
 * them.
 */
record Tags(Map<String, String> byKey) {
  /** The header that carries them, and under which they are kept. */
  static final String HEADER = "x-amz-tagging";

  static final int MAX = 10;
  private static final int MAX_KEY = 128;
  private static final int MAX_VALUE = 256;
  private static final Pattern LEGAL = Pattern.compile("[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*");

  /**
   * Reads the header: {@code key=value&...}, percent-encoded.
   *
   * @throws S3Refusal INVALID_ARGUMENT; INVALID_TAG; TOO_MANY_TAGS
   */
  static Tags ofHeader(String text) {
    var tags = new LinkedHashMap<String, String>();
    for (String pair : text.split("&", -1)) {
      if (pair.isEmpty()) {
        continue;
      }
      int equals = pair.indexOf('=');
      try {
        add(
            tags,
            PercentCoding.decode(equals < 0 ? pair : pair.substring(0, equals), true),
            equals < 0 ? "" : PercentCoding.decode(pair.substring(equals + 1), true));
      } catch (S3Refusal broken) {
        if (broken.code() != S3Code.INVALID_URI) {
          throw broken;
        }
        throw new S3Refusal(
            S3Code.INVALID_ARGUMENT,
            "The header '"
                + HEADER
                + "' shall be encoded as UTF-8 then URLEncoded URL query"
                + " parameters without tag name duplicates.");
      }
    }
    return new Tags(tags);
  }

  /**
   * Reads a Tagging document.
   *
   * @throws S3Refusal MALFORMED_XML; INVALID_TAG; TOO_MANY_TAGS
   */
  static Tags ofDocument(XmlElement document) {
    var tags = new LinkedHashMap<String, String>();
    if (document.all("TagSet").size() != 1) {
      throw XmlElement.malformed("a Tagging has one TagSet");
    }
    for (XmlElement tag : document.all("TagSet").getFirst().all("Tag")) {
      add(tags, tag.need("Key"), tag.need("Value"));
    }
    return new Tags(tags);
  }

  private static void add(Map<String, String> tags, String key, String value) {
    if (key.isEmpty() || key.length() > MAX_KEY || !LEGAL.matcher(key).matches()) {
      throw new S3Refusal(S3Code.INVALID_TAG, "The TagKey you have provided is invalid");
    }
    if (value.length() > MAX_VALUE || !LEGAL.matcher(value).matches()) {
      throw new S3Refusal(S3Code.INVALID_TAG, "The TagValue you have provided is invalid");
    }
    if (tags.put(key, value) != null) {
      throw new S3Refusal(S3Code.INVALID_TAG, "Cannot provide multiple Tags with the same key");
    }
    if (tags.size() > MAX) {
      throw new S3Refusal(S3Code.TOO_MANY_TAGS, "Object tags cannot be greater than " + MAX);
    }
  }

  /** The tags among an object's headers. */
  static Tags among(Map<String, String> headers) {
    return ofHeader(Optional.ofNullable(headers.get(HEADER)).orElse(""));
  }

  /** As the header writes them; printable ASCII, empty when there are none. */
  String text() {
    var text = new StringBuilder();
    byKey.forEach((key, value) ->
        text.append(text.isEmpty() ? "" : "&")
            .append(PercentCoding.encode(key, false))
            .append('=')
            .append(PercentCoding.encode(value, false)));
    return text.toString();
  }
}
