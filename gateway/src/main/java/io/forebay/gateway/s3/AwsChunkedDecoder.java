package io.forebay.gateway.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Collections;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Takes the content out of an aws-chunked body, without I/O, and checks the chain of signatures.
 *
 * <pre>
 *   size-hex[;chunk-signature=SIGNATURE] CR LF  content  CR LF      any number of times
 *   0[;chunk-signature=SIGNATURE] CR LF
 *   name:value CR LF                                                trailers, if announced
 *   x-amz-trailer-signature:SIGNATURE CR LF                         of signed trailers
 *   CR LF
 * </pre>
 *
 * <p>Content is passed on before its chunk's signature is known: whoever takes it publishes nothing
 * before {@link #finish} has returned.
 */
final class AwsChunkedDecoder {
  private static final int MAX_LINE_BYTES = 1024;
  private static final int MAX_TRAILERS = 8;
  private static final String TRAILER_SIGNATURE = "x-amz-trailer-signature";

  private enum State {
    SIZE,
    CONTENT,
    CONTENT_END,
    TRAILERS,
    DONE
  }

  private final Caller.Payload payload;
  private final Caller.@Nullable ChunkSigning signing;
  private final MessageDigest sha256 = Sha256.digest("SHA-256");
  private final byte[] line = new byte[MAX_LINE_BYTES];
  private final Map<String, String> trailers = new TreeMap<>();
  private State state = State.SIZE;
  private int lineLength;
  private long chunkLeft;
  private String chunkSignature = "";
  private String previousSignature;
  private @Nullable String trailerSignature;

  AwsChunkedDecoder(Caller caller) {
    this.payload = caller.payload();
    this.signing =
        payload == Caller.Payload.UNSIGNED_CHUNKS_AND_TRAILER
            ? null
            : caller.signing().orElseThrow();
    this.previousSignature = signing == null ? "" : signing.seedSignature();
  }

  /**
   * Takes the next piece of the body, all of it.
   *
   * @param content called with each run of content; the buffer is valid during the call
   * @throws ForebayException INCOMPLETE_BODY (malformed); SIGNATURE_MISMATCH
   */
  void feed(ByteBuffer piece, Consumer<ByteBuffer> content) {
    while (piece.hasRemaining()) {
      switch (state) {
        case CONTENT -> {
          int count = (int) Math.min(chunkLeft, piece.remaining());
          ByteBuffer run = piece.slice(piece.position(), count);
          piece.position(piece.position() + count);
          if (signing != null) {
            sha256.update(run.duplicate());
          }
          content.accept(run);
          chunkLeft -= count;
          if (chunkLeft == 0) {
            checkChunk();
            state = State.CONTENT_END;
          }
        }
        case SIZE, CONTENT_END, TRAILERS -> {
          byte next = piece.get();
          if (next == '\n') {
            int length =
                lineLength > 0 && line[lineLength - 1] == '\r' ? lineLength - 1 : lineLength;
            String text = new String(line, 0, length, StandardCharsets.ISO_8859_1);
            lineLength = 0;
            line(text);
          } else if (lineLength == MAX_LINE_BYTES) {
            throw malformed("a line has more than " + MAX_LINE_BYTES + " bytes");
          } else {
            line[lineLength++] = next;
          }
        }
        case DONE -> throw malformed("bytes follow after the last chunk");
      }
    }
  }

  /**
   * Ends the body.
   *
   * @return trailers by lower-case name
   * @throws ForebayException INCOMPLETE_BODY when the last chunk is missing
   */
  Map<String, String> finish() {
    if (state != State.DONE) {
      throw malformed("it ends before its last chunk");
    }
    return Collections.unmodifiableMap(trailers);
  }

  private void line(String text) {
    switch (state) {
      case SIZE -> size(text);
      case CONTENT_END -> {
        if (!text.isEmpty()) {
          throw malformed("a chunk is longer than its size says");
        }
        state = State.SIZE;
      }
      case TRAILERS -> trailer(text);
      case CONTENT, DONE -> throw new IllegalStateException("no line is read in " + state);
    }
  }

  private void size(String text) {
    int semicolon = text.indexOf(';');
    String digits = (semicolon < 0 ? text : text.substring(0, semicolon)).strip();
    if (digits.isEmpty() || digits.length() > 15) {
      throw malformed("a chunk's size is not a hexadecimal number");
    }
    try {
      chunkLeft = HexFormat.fromHexDigitsToLong(digits);
    } catch (IllegalArgumentException notHex) {
      throw malformed("a chunk's size is not a hexadecimal number");
    }
    String extension = semicolon < 0 ? "" : text.substring(semicolon + 1).strip();
    if (signing != null) {
      if (!extension.startsWith("chunk-signature=")) {
        throw new ForebayException(
            ErrorCode.SIGNATURE_MISMATCH, "a chunk of a signed body lacks its signature");
      }
      chunkSignature = extension.substring("chunk-signature=".length());
    }
    if (chunkLeft == 0) {
      checkChunk();
      state = State.TRAILERS;
    } else {
      state = State.CONTENT;
    }
  }

  private void trailer(String text) {
    if (text.isEmpty()) {
      if (payload == Caller.Payload.SIGNED_CHUNKS_AND_TRAILER && trailerSignature == null) {
        if (trailers.isEmpty()) {
          throw new S3Refusal(S3Code.MALFORMED_TRAILER, "the signed trailer is missing");
        }
        return; // AWS' own description has an empty line before the signature
      }
      checkTrailers();
      state = State.DONE;
      return;
    }
    int colon = text.indexOf(':');
    if (colon < 1 || payload == Caller.Payload.SIGNED_CHUNKS) {
      throw new S3Refusal(S3Code.MALFORMED_TRAILER, "what follows the last chunk is no trailer");
    }
    String name = text.substring(0, colon).strip().toLowerCase(Locale.ROOT);
    String value = text.substring(colon + 1).strip();
    if (name.equals(TRAILER_SIGNATURE)) {
      trailerSignature = value;
    } else if (trailers.size() == MAX_TRAILERS || trailers.put(name, value) != null) {
      throw new S3Refusal(S3Code.MALFORMED_TRAILER, "there are too many trailers, or one twice");
    }
  }

  private void checkChunk() {
    if (signing == null) {
      return;
    }
    String expected =
        sign(
            "AWS4-HMAC-SHA256-PAYLOAD",
            Sha256.EMPTY_HEX + "\n" + HexFormat.of().formatHex(sha256.digest()));
    if (!Sha256.same(expected, chunkSignature)) {
      throw new ForebayException(
          ErrorCode.SIGNATURE_MISMATCH, "the signature of a chunk does not match its content");
    }
    previousSignature = expected;
  }

  private void checkTrailers() {
    if (signing == null || payload != Caller.Payload.SIGNED_CHUNKS_AND_TRAILER) {
      return;
    }
    var canonical = new StringBuilder();
    trailers.forEach(
        (name, value) -> canonical.append(name).append(':').append(value).append('\n'));
    String expected =
        sign(
            "AWS4-HMAC-SHA256-TRAILER",
            Sha256.hex(canonical.toString().getBytes(StandardCharsets.ISO_8859_1)));
    if (trailerSignature == null || !Sha256.same(expected, trailerSignature)) {
      throw new ForebayException(
          ErrorCode.SIGNATURE_MISMATCH, "the signature of the trailer does not match");
    }
  }

  private String sign(String kind, String hashes) {
    if (signing == null) {
      throw new IllegalStateException("an unsigned body is not checked");
    }
    return HexFormat.of()
        .formatHex(
            Sha256.hmac(
                signing.key(),
                kind
                    + "\n"
                    + signing.timestamp()
                    + "\n"
                    + signing.scope()
                    + "\n"
                    + previousSignature
                    + "\n"
                    + hashes));
  }

  private static ForebayException malformed(String why) {
    return new ForebayException(
        ErrorCode.INCOMPLETE_BODY, "the aws-chunked body is malformed: " + why);
  }
}
