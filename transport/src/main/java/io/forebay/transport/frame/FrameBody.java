package io.forebay.transport.frame;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * The bodies of frames that are not messages; layouts in docs/formats/wire.md. Decoding what does
 * not fit is CORRUPT.
 */
public sealed interface FrameBody {
  /** The bytes of the body. */
  byte[] encode();

  /**
   * HELLO: u8 step, u8 newest and u8 oldest wire version less one, u16 capabilities, 32 bytes
   * nonce, 32 bytes proof, u16 length and bytes of the cluster id, the same of the node's name.
   *
   * @param step 1 from the dialling end, 2 the answer, 3 the dialling end's proof
   * @param clusterId empty before the cluster has been named
   * @param proof zeros in step 1
   */
  record Hello(
      int step,
      WireVersions versions,
      int capabilities,
      byte[] nonce,
      byte[] proof,
      String clusterId,
      String node)
      implements FrameBody {
    /** Length of nonce and proof. */
    public static final int SECRET_BYTES = 32;

    /** Capability: the peer is a client; it is no node and never listens. */
    public static final int CLIENT = 1;

    public Hello {
      if (nonce.length != SECRET_BYTES || proof.length != SECRET_BYTES) {
        throw new IllegalArgumentException("nonce and proof have " + SECRET_BYTES + " bytes");
      }
    }

    @Override
    public byte[] encode() {
      byte[] cluster = clusterId.getBytes(UTF_8);
      byte[] name = node.getBytes(UTF_8);
      return ByteBuffer.allocate(9 + 2 * SECRET_BYTES + cluster.length + name.length)
          .put((byte) step)
          .put((byte) (versions.newest() - 1))
          .put((byte) (versions.oldest() - 1))
          .putShort((short) capabilities)
          .put(nonce)
          .put(proof)
          .putShort((short) cluster.length)
          .put(cluster)
          .putShort((short) name.length)
          .put(name)
          .array();
    }

    public static Hello decode(byte[] body) {
      return read(
          "HELLO",
          body,
          in -> {
            int step = in.get();
            int newest = (in.get() & 0xFF) + 1;
            int oldest = (in.get() & 0xFF) + 1;
            if (oldest > newest) {
              throw FrameHeader.corrupt("HELLO names versions " + oldest + " to " + newest);
            }
            int capabilities = in.getShort() & 0xFFFF;
            byte[] nonce = bytes(in, SECRET_BYTES);
            byte[] proof = bytes(in, SECRET_BYTES);
            String cluster = new String(bytes(in, in.getShort() & 0xFFFF), UTF_8);
            String name = new String(bytes(in, in.getShort() & 0xFFFF), UTF_8);
            return new Hello(
                step, new WireVersions(oldest, newest), capabilities, nonce, proof, cluster, name);
          });
    }
  }

  /** ERROR: u16 number of the code, then the message in UTF-8. */
  record Fault(ErrorCode code, String message) implements FrameBody {
    private static final int MAX_MESSAGE_BYTES = 4000;

    public static Fault of(Throwable failure) {
      return failure instanceof ForebayException known
          ? new Fault(known.code(), String.valueOf(known.getMessage()))
          : new Fault(ErrorCode.INTERNAL, String.valueOf(failure));
    }

    /** The failure as it is thrown at the other end. */
    public ForebayException exception() {
      return new ForebayException(code, message);
    }

    @Override
    public byte[] encode() {
      byte[] text = message.getBytes(UTF_8);
      int length = Math.min(text.length, MAX_MESSAGE_BYTES);
      return ByteBuffer.allocate(2 + length)
          .putShort((short) code.number())
          .put(text, 0, length)
          .array();
    }

    public static Fault decode(byte[] body) {
      return read(
          "ERROR",
          body,
          in ->
              new Fault(
                  ErrorCode.ofNumber(in.getShort() & 0xFFFF),
                  new String(bytes(in, in.remaining()), UTF_8)));
    }
  }

  /** SLICE: u32 offset of the slice in the chunk. */
  record Slice(int offset) implements FrameBody {
    @Override
    public byte[] encode() {
      return ByteBuffer.allocate(4).putInt(offset).array();
    }

    public static Slice decode(byte[] body) {
      return read("SLICE", body, in -> new Slice(in.getInt()));
    }
  }

  /**
   * CREDIT: u32 granted, u32 written by all, u8 count of hops, u32 written by each.
   *
   * @param grantedSlices how many slices the sender may have sent in all
   */
  record Credit(int grantedSlices, int creditedBytes, List<Integer> progressBytes)
      implements FrameBody {
    public Credit {
      progressBytes = List.copyOf(progressBytes);
    }

    @Override
    public byte[] encode() {
      ByteBuffer out = ByteBuffer.allocate(9 + 4 * progressBytes.size());
      out.putInt(grantedSlices).putInt(creditedBytes).put((byte) progressBytes.size());
      progressBytes.forEach(out::putInt);
      return out.array();
    }

    public static Credit decode(byte[] body) {
      return read(
          "CREDIT",
          body,
          in -> {
            int granted = in.getInt();
            int credited = in.getInt();
            int hops = in.get();
            List<Integer> progress = new ArrayList<>();
            for (int i = 0; i < hops; i++) {
              progress.add(in.getInt());
            }
            return new Credit(granted, credited, progress);
          });
    }
  }

  /** FINISH: u32 length, u32 CRC32C of the whole chunk. */
  record Finish(int lengthBytes, int crc32c) implements FrameBody {
    @Override
    public byte[] encode() {
      return ByteBuffer.allocate(8).putInt(lengthBytes).putInt(crc32c).array();
    }

    public static Finish decode(byte[] body) {
      return read("FINISH", body, in -> new Finish(in.getInt(), in.getInt()));
    }
  }

  /** ABORT: why, in UTF-8. */
  record Abort(String why) implements FrameBody {
    private static final int MAX_BYTES = 1000;

    @Override
    public byte[] encode() {
      byte[] text = why.getBytes(UTF_8);
      return text.length <= MAX_BYTES ? text : Arrays.copyOf(text, MAX_BYTES);
    }

    public static Abort decode(byte[] body) {
      return new Abort(new String(body, UTF_8));
    }
  }

  private static <T> T read(String what, byte[] body, Function<ByteBuffer, T> reader) {
    ByteBuffer in = ByteBuffer.wrap(body);
    T value;
    try {
      value = reader.apply(in);
    } catch (BufferUnderflowException short_) {
      throw FrameHeader.corrupt("body of " + what + " ends early");
    }
    if (in.hasRemaining()) {
      throw FrameHeader.corrupt("body of " + what + " has bytes too many");
    }
    return value;
  }

  private static byte[] bytes(ByteBuffer in, int length) {
    if (length > in.remaining()) {
      throw new BufferUnderflowException();
    }
    byte[] copy = new byte[length];
    in.get(copy);
    return copy;
  }
}
