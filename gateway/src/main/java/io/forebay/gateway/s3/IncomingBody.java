package io.forebay.gateway.s3;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.EntityTag;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.RequestBody;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The body of one request: what was announced about it, and whether what came is that. Each byte is
 * copied once, from the network's buffer into a slab, and passes all its digests while it is in the
 * processor's cache.
 */
final class IncomingBody {
  /** Largest body of one request; larger objects come in parts. */
  static final long MAX_BYTES = 5L << 30;

  /** How long a body waits for a free slab before its client is told to slow down. */
  private static final long SLAB_WAIT_NANOS = 20_000_000_000L;

  private final Caller caller;
  private final OptionalLong expectedBytes;
  private final byte @Nullable [] contentMd5;
  private final Map<String, Checksum> checksums = new LinkedHashMap<>();
  private final Map<String, String> announced = new LinkedHashMap<>();
  private final @Nullable MessageDigest sha256;
  private @Nullable MessageDigest md5;
  private @Nullable String trailerName;
  private long receivedBytes;

  /** What x-amz-checksum-... headers are about. */
  enum Sums {
    OF_BODY,
    OF_OBJECT
  }

  IncomingBody(S3Request request, Caller caller) {
    this(request, caller, Sums.OF_BODY);
  }

  /**
   * Reads what the headers announce.
   *
   * @throws S3Refusal when they contradict themselves
   * @throws ForebayException ENTITY_TOO_LARGE
   */
  IncomingBody(S3Request request, Caller caller, Sums sums) {
    this.caller = caller;
    this.expectedBytes = expected(request, caller);
    if (expectedBytes.isPresent() && expectedBytes.getAsLong() > MAX_BYTES) {
      throw tooLarge();
    }
    this.contentMd5 =
        request.header("content-md5").map(text -> base64(text, 16, "Content-MD5")).orElse(null);
    List<Header> headers = sums == Sums.OF_BODY ? request.head().headers().all() : List.of();
    for (Header header : headers) {
      Checksum.ofHeader(header.name())
          .ifPresent(checksum -> {
            checksums.put(header.name(), checksum);
            announced.put(header.name(), header.value().strip());
          });
    }
    trailer(request);
    sha256 = caller.payloadSha256Hex().isPresent() ? Sha256.digest("SHA-256") : null;
    boolean small = expectedBytes.isEmpty() || expectedBytes.getAsLong() <= EntityTag.MD5_MAX_BYTES;
    md5 = contentMd5 != null || small ? Sha256.digest("MD5") : null;
  }

  private void trailer(S3Request request) {
    Optional<String> named =
        request.header("x-amz-trailer").map(name -> name.strip().toLowerCase(Locale.ROOT));
    if (named.isEmpty()) {
      return;
    }
    Checksum checksum =
        Checksum.ofHeader(named.get())
            .orElseThrow(() ->
                new S3Refusal(
                    S3Code.INVALID_REQUEST, "x-amz-trailer must name one x-amz-checksum-..."));
    if (!caller.payload().chunked() || caller.payload() == Caller.Payload.SIGNED_CHUNKS) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST, "x-amz-trailer needs a STREAMING-...-TRAILER body");
    }
    trailerName = named.get();
    checksums.put(trailerName, checksum);
  }

  private static OptionalLong expected(S3Request request, Caller caller) {
    if (!caller.payload().chunked()) {
      if (request.head().chunked()) {
        return OptionalLong.empty();
      }
      return OptionalLong.of(request.head().contentLength().orElse(0));
    }
    String text =
        request
            .header("x-amz-decoded-content-length")
            .orElseThrow(() ->
                new S3Refusal(
                    S3Code.MISSING_CONTENT_LENGTH,
                    "an aws-chunked body needs the header x-amz-decoded-content-length"));
    try {
      long length = Long.parseLong(text.strip());
      if (length >= 0) {
        return OptionalLong.of(length);
      }
    } catch (NumberFormatException notANumber) {
      // refused below
    }
    throw new S3Refusal(
        S3Code.INVALID_ARGUMENT, "x-amz-decoded-content-length must be a number of bytes");
  }

  /** How long the body is to be, where that was announced. */
  OptionalLong expectedBytes() {
    return expectedBytes;
  }

  /**
   * The checksums that were announced, by header name; those of a trailer once the body was
   * received, and verified only then.
   */
  Map<String, String> announcedChecksums() {
    return announced;
  }

  /**
   * Receives the body into a writer. It is not published here: only what this returned may be.
   *
   * @return the body's MD5 in hex, where it is to be the ETag
   * @throws ForebayException INCOMPLETE_BODY; CHECKSUM_MISMATCH; SIGNATURE_MISMATCH; TIMEOUT; BUSY
   *     when no slab is free in time; what the writer throws
   * @throws S3Refusal CONTENT_SHA256_MISMATCH; MALFORMED_TRAILER
   */
  Optional<String> receive(RequestBody body, BodyWriter<?> writer, SlabPool pool, Env env) {
    try (var sink = new SlabSink(writer, pool, env, expectedBytes)) {
      receive(body, sink::accept);
      sink.flush();
    }
    return verify();
  }

  /**
   * Receives a small body, such as XML.
   *
   * @throws S3Refusal MALFORMED_XML when it has more than {@code maxBytes}
   */
  byte[] collect(RequestBody body, int maxBytes) {
    var all = new ByteArrayOutputStream();
    receive(
        body,
        piece -> {
          if (all.size() + piece.remaining() > maxBytes) {
            throw new S3Refusal(
                S3Code.MALFORMED_XML, "the document has more than " + maxBytes + " bytes");
          }
          var copy = new byte[piece.remaining()];
          piece.get(copy);
          all.writeBytes(copy);
        });
    verify();
    return all.toByteArray();
  }

  /** Bytes of content that came. */
  long receivedBytes() {
    return receivedBytes;
  }

  private void receive(RequestBody body, Consumer<ByteBuffer> sink) {
    Consumer<ByteBuffer> counted =
        piece -> {
          receivedBytes += piece.remaining();
          if (receivedBytes > expectedBytes.orElse(MAX_BYTES)) {
            throw expectedBytes.isPresent() ? wrongLength() : tooLarge();
          }
          ByteBuffer again = piece.duplicate();
          sink.accept(piece);
          digest(again);
        };
    if (caller.payload().chunked()) {
      var decoder = new AwsChunkedDecoder(caller);
      for (ByteBuffer piece = body.next(); piece != null; piece = body.next()) {
        decoder.feed(piece, counted);
      }
      trailers(decoder.finish());
    } else {
      for (ByteBuffer piece = body.next(); piece != null; piece = body.next()) {
        counted.accept(piece);
      }
    }
    if (receivedBytes != expectedBytes.orElse(receivedBytes)) {
      throw wrongLength();
    }
  }

  private void digest(ByteBuffer piece) {
    if (md5 != null && contentMd5 == null && receivedBytes > EntityTag.MD5_MAX_BYTES) {
      md5 = null;
    }
    if (md5 != null) {
      md5.update(piece.duplicate());
    }
    if (sha256 != null) {
      sha256.update(piece.duplicate());
    }
    for (Checksum checksum : checksums.values()) {
      checksum.update(piece.duplicate());
    }
  }

  private void trailers(Map<String, String> trailers) {
    trailers.forEach((name, value) -> {
      if (!name.equals(trailerName)) {
        throw new S3Refusal(
            S3Code.MALFORMED_TRAILER, "a trailer came that x-amz-trailer did not name");
      }
      announced.put(name, value);
    });
    if (trailerName != null && !announced.containsKey(trailerName)) {
      throw new S3Refusal(S3Code.MALFORMED_TRAILER, "the trailer " + trailerName + " is missing");
    }
  }

  private Optional<String> verify() {
    Optional<String> md5Hex = Optional.empty();
    if (md5 != null) {
      byte[] value = md5.digest();
      if (contentMd5 != null && !Arrays.equals(contentMd5, value)) {
        throw mismatch("Content-MD5");
      }
      md5Hex = Optional.of(HexFormat.of().formatHex(value));
    }
    if (sha256 != null
        && !Sha256.same(
            HexFormat.of().formatHex(sha256.digest()), caller.payloadSha256Hex().orElseThrow())) {
      throw new S3Refusal(
          S3Code.CONTENT_SHA256_MISMATCH,
          "the provided 'x-amz-content-sha256' header does not match what was computed");
    }
    checksums.forEach((name, checksum) -> {
      byte[] value = checksum.value();
      byte[] wanted = base64(announced.getOrDefault(name, ""), value.length, name);
      if (!Arrays.equals(value, wanted)) {
        throw mismatch(name);
      }
    });
    return md5Hex;
  }

  private static byte[] base64(String text, int length, String header) {
    try {
      byte[] value = Base64.getDecoder().decode(text.strip());
      if (value.length == length) {
        return value;
      }
    } catch (IllegalArgumentException notBase64) {
      // refused below
    }
    throw new S3Refusal(
        header.startsWith(Checksum.PREFIX) ? S3Code.INVALID_REQUEST : S3Code.INVALID_DIGEST,
        "Value for " + header + " header is invalid: it must be " + length + " bytes in Base64");
  }

  private ForebayException wrongLength() {
    return new ForebayException(
        ErrorCode.INCOMPLETE_BODY,
        "the body has "
            + receivedBytes
            + " bytes or more, announced were "
            + expectedBytes.orElse(0));
  }

  private static ForebayException tooLarge() {
    return new ForebayException(
        ErrorCode.ENTITY_TOO_LARGE,
        "one request takes at most " + MAX_BYTES + " bytes; use a multipart upload");
  }

  private static ForebayException mismatch(String header) {
    return new ForebayException(
        ErrorCode.CHECKSUM_MISMATCH, "the body that came does not have the checksum of " + header);
  }

  /** Fills slabs and hands them to a writer. */
  private static final class SlabSink implements AutoCloseable {
    private final BodyWriter<?> writer;
    private final SlabPool pool;
    private final Env env;
    private @Nullable Slab slab;
    private @Nullable ByteBuffer room;
    private long leftBytes; // that the writer has not got

    SlabSink(BodyWriter<?> writer, SlabPool pool, Env env, OptionalLong expectedBytes) {
      // A body that did not say how long it is may be long.
      this.leftBytes = expectedBytes.orElse(Long.MAX_VALUE);
      this.writer = writer;
      this.pool = pool;
      this.env = env;
    }

    void accept(ByteBuffer piece) {
      while (piece.hasRemaining()) {
        if (room == null) {
          writer.awaitRoom((int) Math.min(leftBytes, pool.slabBytes()));
          slab = pool.take(env.nanoTime() + SLAB_WAIT_NANOS);
          room = slab.buffer();
        }
        int count = Math.min(piece.remaining(), room.remaining());
        room.put(piece.slice(piece.position(), count));
        piece.position(piece.position() + count);
        if (!room.hasRemaining()) {
          flush();
        }
      }
    }

    void flush() {
      if (slab == null || room == null) {
        return;
      }
      Bytes full = slab.bytes(0, room.position());
      leftBytes -= full.length();
      close();
      try {
        writer.write(full);
      } finally {
        full.release();
      }
    }

    @Override
    public void close() {
      if (slab != null) {
        slab.release();
        slab = null;
        room = null;
      }
    }
  }
}
