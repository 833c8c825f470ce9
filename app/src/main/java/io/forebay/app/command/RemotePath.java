package io.forebay.app.command;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A bucket and a key as written on the command line: {@code fb://BUCKET/KEY}, or {@code BUCKET/KEY}
 * where no local path can be meant.
 *
 * @param key may be empty (the whole bucket)
 */
record RemotePath(String bucket, String key) {
  static final String SCHEME = "fb://";

  static RemotePath parse(String text) {
    String rest = text.startsWith(SCHEME) ? text.substring(SCHEME.length()) : text;
    int slash = rest.indexOf('/');
    String bucket = slash < 0 ? rest : rest.substring(0, slash);
    if (bucket.isEmpty()) {
      throw new TypeConversionException(
          "'" + text + "' names no bucket; write BUCKET/KEY or fb://BUCKET/KEY");
    }
    return new RemotePath(bucket, slash < 0 ? "" : rest.substring(slash + 1));
  }

  /** The path with a key. */
  RemotePath requireKey() {
    if (key.isEmpty()) {
      throw new TypeConversionException("'" + this + "' names a bucket; write BUCKET/KEY");
    }
    return this;
  }

  @Override
  public String toString() {
    return SCHEME + bucket + "/" + key;
  }

  /** For picocli. */
  static final class Converter implements ITypeConverter<RemotePath> {
    @Override
    public RemotePath convert(String value) {
      return parse(value);
    }
  }
}
