package io.forebay.app.command;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongConsumer;

/** Bodies between local streams and objects. */
public final class Transfers {
  private static final int SHORT_BYTES = 64 << 10;

  private Transfers() {}

  /**
   * Publishes a stream as an object.
   *
   * @param onBytes told of each slice sent
   * @throws ForebayException the service's refusals; IO_ERROR when the stream cannot be read, with
   *     nothing published
   */
  public static ObjectInfo put(
      FileService files,
      SlabPool pool,
      String bucket,
      String key,
      InputStream source,
      WriteOptions options,
      LongConsumer onBytes) {
    ReadableByteChannel channel = Channels.newChannel(source);
    try {
      // Read before anything is begun: a short body, of which the length is known then, goes in one
      // call.
      byte[] head = source.readNBytes(SHORT_BYTES);
      boolean isShort = head.length < SHORT_BYTES;
      return put(
          files.create(bucket, key, isShort ? announced(options, head.length) : options),
          pool,
          ByteBuffer.wrap(head),
          channel,
          onBytes);
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.IO_ERROR,
          "reading the source of " + bucket + "/" + key + ": " + failure,
          failure);
    }
  }

  private static WriteOptions announced(WriteOptions options, long lengthBytes) {
    return options.expectedLengthBytes().isPresent()
        ? options
        : new WriteOptions(
            options.metadata(),
            options.conditions(),
            OptionalLong.of(lengthBytes),
            options.md5FromCaller());
  }

  private static ObjectInfo put(
      BodyWriter<ObjectInfo> body,
      SlabPool pool,
      ByteBuffer head,
      ReadableByteChannel channel,
      LongConsumer onBytes)
      throws IOException {
    try (BodyWriter<ObjectInfo> writer = body) {
      while (true) {
        Slab slab = pool.take();
        try {
          ByteBuffer buffer = slab.buffer();
          buffer.put(head);
          boolean end = false;
          while (buffer.hasRemaining() && !end) {
            end = channel.read(buffer) < 0;
          }
          if (buffer.position() > 0) {
            Bytes bytes = slab.bytes(0, buffer.position());
            try {
              writer.write(bytes);
            } finally {
              bytes.release();
            }
            onBytes.accept(buffer.position());
          }
          if (end) {
            return writer.publish(Optional.empty());
          }
        } finally {
          slab.release();
        }
      }
    }
  }

  /**
   * Copies an object to a stream.
   *
   * @throws ForebayException the service's failures; IO_ERROR when the stream cannot be written
   */
  public static ObjectInfo get(
      FileService files, String bucket, String key, OutputStream target, LongConsumer onBytes) {
    WritableByteChannel channel = Channels.newChannel(target);
    try (ObjectReader reader = files.open(bucket, key, ReadConditions.NONE)) {
      long length = reader.info().lengthBytes();
      ByteBuffer copy = ByteBuffer.allocateDirect(1 << 20);
      for (long offset = 0; offset < length; ) {
        Bytes bytes = reader.read(offset, 1 << 20);
        try {
          copy.clear();
          bytes.copyTo(copy);
          copy.flip();
          while (copy.hasRemaining()) {
            channel.write(copy);
          }
          offset += bytes.length();
          onBytes.accept(bytes.length());
        } finally {
          bytes.release();
        }
      }
      return reader.info();
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.IO_ERROR,
          "writing " + bucket + "/" + key + " to its target: " + failure,
          failure);
    }
  }

  /** Copies an object to a file, which appears under its name when it is whole. */
  public static ObjectInfo getFile(
      FileService files, String bucket, String key, Path target, LongConsumer onBytes) {
    Path directory = Optional.ofNullable(target.toAbsolutePath().getParent()).orElse(Path.of("/"));
    Path part =
        directory.resolve("." + target.getFileName() + ".part-" + ProcessHandle.current().pid());
    try {
      ObjectInfo info;
      try (OutputStream out = Files.newOutputStream(part)) {
        info = get(files, bucket, key, out, onBytes);
      }
      Files.move(part, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
      return info;
    } catch (IOException failure) {
      throw new ForebayException(ErrorCode.IO_ERROR, "writing " + target + ": " + failure, failure);
    } finally {
      try {
        Files.deleteIfExists(part);
      } catch (IOException left) {
        System.err.println("forebay: " + part + " was left behind: " + left);
      }
    }
  }
}
