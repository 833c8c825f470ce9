package io.forebay.transport.tcp;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.net.ChunkAck;
import io.forebay.transport.frame.FrameBody;
import io.forebay.transport.frame.FrameHeader;
import io.forebay.transport.frame.FrameType;
import io.forebay.transport.relay.Relay;
import io.forebay.transport.relay.RelayHop;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** An upload that arrives on one connection; everything on that connection's loop. */
final class IncomingUpload implements Relay.Upstream {
  private final Connection connection;
  private final long stream;
  private UploadBudget.@Nullable Claim claim;
  private @Nullable RelayHop hop;
  private int receivedBytes;
  private boolean over;

  IncomingUpload(Connection connection, long stream) {
    this.connection = connection;
    this.stream = stream;
  }

  void claimed(UploadBudget.Claim made) {
    claim = made;
  }

  /** There are buffers: slices may come. */
  void begin(RelayHop relaying) {
    if (!over) {
      hop = relaying;
      relaying.begin();
    }
  }

  /** Whether slices are wanted; others are read over. */
  boolean takesSlices() {
    return hop != null && !over;
  }

  /** The next slice; its reference passes to this. */
  void slice(byte[] body, Bytes slice, int crc32c) {
    boolean taken = false;
    try {
      int offset = FrameBody.Slice.decode(body).offset();
      if (hop == null || over) {
        return;
      }
      if (offset != receivedBytes) {
        throw new ForebayException(
            ErrorCode.CORRUPT, "slice at " + offset + " where " + receivedBytes + " is expected");
      }
      receivedBytes += slice.length();
      taken = true;
      hop.slice(slice, crc32c);
    } finally {
      if (!taken) {
        slice.release();
      }
    }
  }

  void finish(FrameBody.Finish finish) {
    if (hop == null) {
      throw new ForebayException(ErrorCode.CORRUPT, "an upload ends before it was granted credit");
    }
    hop.finish(finish.lengthBytes(), finish.crc32c());
  }

  /** The sender gives up or is gone. */
  void abort(String why) {
    end();
    if (hop != null) {
      hop.abort(why);
    }
  }

  private void end() {
    over = true;
    if (claim != null) {
      connection.release(claim);
    }
  }

  @Override
  public void credit(int grantedSlices, int creditedBytes, List<Integer> progressBytes) {
    byte[] body = new FrameBody.Credit(grantedSlices, creditedBytes, progressBytes).encode();
    connection.queue(
        () -> {
          if (!over) {
            connection.write(FrameType.CREDIT, 0, stream, body);
          }
        },
        () -> {});
  }

  @Override
  public void acknowledge(ChunkAck ack, boolean last) {
    byte[] body = Connection.ACKS.encode(ack);
    connection.queue(
        () -> {
          if (!over) {
            connection.write(FrameType.ACK, last ? FrameHeader.LAST : 0, stream, body);
            if (last) {
              end();
              connection.ended(stream);
            }
          }
        },
        () -> {});
  }
}
