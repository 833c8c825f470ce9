package io.forebay.core.file;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * A part that an object was made of, by a multipart upload.
 *
 * @param number as the completion named it, 1–10,000; numbers may be left out
 * @param offset of its first byte in the object
 * @param headers what the door that took the part keeps with it (x-amz-...)
 */
public record ObjectPart(int number, long offset, long lengthBytes, Map<String, String> headers) {
  public ObjectPart {
    headers = Collections.unmodifiableMap(new TreeMap<>(headers));
  }
}
