package io.forebay.core.namespace;

import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import io.forebay.core.id.SessionId;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The keys of the map, as drawn in docs/formats/namespace.md: one byte of kind, then big-endian.
 */
final class Keys {
  static final byte COUNTER = 0x01;
  static final byte SESSION = 0x02;
  static final byte ANSWER = 0x03;
  static final byte BUCKET = 0x04;
  static final byte ENTRY = 0x05;
  static final byte GENERATION = 0x06;
  static final byte CLAIM = 0x07;
  static final byte FLUSH = 0x08;
  static final byte QUEUE = 0x09;
  static final byte SOURCE = 0x0a;
  static final byte ATTEMPT = 0x0b;
  static final byte EXPIRY = 0x0c;
  static final byte UPLOAD = 0x0d;
  static final byte UPLOAD_OF_KEY = 0x0e;
  static final byte PART = 0x0f;
  static final byte COMPLETED = 0x10;
  static final byte MANIFEST = 0x11;
  static final byte MADE_PART = 0x12;
  static final byte USE = 0x13;
  static final byte UNCOUNTED = 0x14;
  static final byte POLICIES = 0x15;

  static final byte[] NOTHING = {};

  private Keys() {}

  static byte[] kind(byte kind) {
    return new byte[] {kind};
  }

  static byte[] of(byte kind, long first) {
    return ByteBuffer.allocate(9).put(kind).putLong(first).array();
  }

  static byte[] of(byte kind, long first, long second) {
    return ByteBuffer.allocate(17).put(kind).putLong(first).putLong(second).array();
  }

  static byte[] of(byte kind, long first, byte[] name) {
    return ByteBuffer.allocate(9 + name.length).put(kind).putLong(first).put(name).array();
  }

  static byte[] answer(SessionId session, long sequence) {
    return of(ANSWER, session.value(), sequence);
  }

  static byte[] entry(InodeId directory, byte[] name) {
    return of(ENTRY, directory.value(), name);
  }

  /** The block of 64 chunks that a sequence falls into. */
  static byte[] claims(SessionId session, long block) {
    return of(CLAIM, session.value(), block);
  }

  static byte[] claim(SessionId session, long block, long owner) {
    return ByteBuffer.allocate(25)
        .put(CLAIM)
        .putLong(session.value())
        .putLong(block)
        .putLong(owner)
        .array();
  }

  static byte[] flush(BucketId bucket, String key) {
    return of(FLUSH, bucket.value(), utf8(key));
  }

  static byte[] queue(long millis, BucketId bucket, String key) {
    byte[] name = utf8(key);
    return ByteBuffer.allocate(17 + name.length)
        .put(QUEUE)
        .putLong(millis)
        .putLong(bucket.value())
        .put(name)
        .array();
  }

  /** Keys hold no NUL, so that no key's rows lie among another's. */
  static byte[] sources(BucketId bucket, String key) {
    byte[] name = utf8(key);
    return ByteBuffer.allocate(10 + name.length)
        .put(SOURCE)
        .putLong(bucket.value())
        .put(name)
        .put((byte) 0)
        .array();
  }

  static byte[] source(BucketId bucket, String key, long owner) {
    return with(sources(bucket, key), owner);
  }

  static byte[] expiry(long millis, byte what, long id) {
    return ByteBuffer.allocate(18).put(EXPIRY).putLong(millis).put(what).putLong(id).array();
  }

  static byte[] uploadOfKey(BucketId bucket, String key, long upload) {
    byte[] name = utf8(key);
    return ByteBuffer.allocate(18 + name.length)
        .put(UPLOAD_OF_KEY)
        .putLong(bucket.value())
        .put(name)
        .put((byte) 0)
        .putLong(upload)
        .array();
  }

  static byte[] part(long upload, int number) {
    return ByteBuffer.allocate(13).put(PART).putLong(upload).putInt(number).array();
  }

  static byte[] madePart(Generation generation, int number) {
    return ByteBuffer.allocate(13)
        .put(MADE_PART)
        .putLong(generation.value())
        .putInt(number)
        .array();
  }

  static byte[] with(byte[] prefix, long last) {
    return ByteBuffer.allocate(prefix.length + 8).put(prefix).putLong(last).array();
  }

  /** The least key above all that begin with the prefix. */
  static byte[] behind(byte[] prefix) {
    int length = prefix.length;
    while (length > 0 && prefix[length - 1] == (byte) 0xff) {
      length--;
    }
    if (length == 0) {
      throw new IllegalArgumentException("nothing is above this prefix");
    }
    byte[] bound = Arrays.copyOf(prefix, length);
    bound[length - 1]++;
    return bound;
  }

  /** The least key above this one. */
  static byte[] next(byte[] key) {
    return Arrays.copyOf(key, key.length + 1);
  }

  static long longAt(byte[] key, int offset) {
    return ByteBuffer.wrap(key).getLong(offset);
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] bytes, int from) {
    return new String(bytes, from, bytes.length - from, StandardCharsets.UTF_8);
  }

  static boolean startsWith(byte[] bytes, byte[] prefix) {
    return bytes.length >= prefix.length
        && Arrays.equals(bytes, 0, prefix.length, prefix, 0, prefix.length);
  }
}
