package io.forebay.app.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.core.cluster.Durability;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.FileMessage;
import io.forebay.core.net.Hop;
import io.forebay.core.net.Message;
import io.forebay.transport.frame.FrameBody;
import io.forebay.transport.frame.FrameBody.Hello;
import io.forebay.transport.frame.FrameHeader;
import io.forebay.transport.frame.FrameType;
import io.forebay.transport.frame.WireVersions;
import io.forebay.transport.tcp.Handshake;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32C;

/** Frames for the transport out of chance, before a handshake and behind one. */
final class WireTalks {
  private static final RecordCodec<Message> MESSAGES = RecordCodec.of(Message.class);
  private static final RecordCodec<ChunkPut> PUTS = RecordCodec.of(ChunkPut.class);

  /**
   * What a node rightly says with ERROR of a chunk that it may owe and has not: chunks are asked
   * for here that never were, of sessions that it does not know.
   */
  static final String NO_SUCH_CHUNK = "is ABSENT (OPEN) and could not be repaired";

  private static final long FIRST_SESSION = 1L << 62;
  private static final int SESSIONS = 100;
  private static final int MAX_FRAMES = 12;
  private static final int CHECKED_BYTES = 28;
  private static final byte[] NOTHING = {};

  private final Dice dice;
  private final byte[] secret;
  private final String bucket;
  private final NodeId node;
  private final List<VolumeId> volumes;

  /**
   * @param bucket that may be written and read
   * @param volumes of the node, among which some are meant
   */
  WireTalks(Dice dice, byte[] secret, String bucket, NodeId node, List<VolumeId> volumes) {
    this.dice = dice;
    this.secret = secret;
    this.bucket = bucket;
    this.node = node;
    this.volumes = volumes;
  }

  /** A handshake that is right; whether the node took it. */
  boolean greet(Line line, long boundMillis) throws InterruptedException {
    var handshake =
        new Handshake(
            true,
            WireVersions.OURS,
            secret,
            "",
            new NodeId("fuzz-" + dice.below(1_000)),
            dice.oneIn(2),
            Optional.empty(),
            dice.bytes(Hello.SECRET_BYTES));
    line.send(frame(FrameType.HELLO, 0, 0, handshake.open().encode()));
    if (!line.awaitBytes(FrameHeader.BYTES, boundMillis)) {
      return false;
    }
    int bodyBytes = ByteBuffer.wrap(line.came()).getInt(16);
    if (!line.awaitBytes(FrameHeader.BYTES + bodyBytes, boundMillis)) {
      return false;
    }
    byte[] body = new byte[bodyBytes];
    ByteBuffer.wrap(line.came()).get(FrameHeader.BYTES, body);
    Hello third = handshake.receive(Hello.decode(body)).answer().orElseThrow();
    line.send(frame(FrameType.HELLO, 0, 0, third.encode()));
    return true;
  }

  /** What a peer might say that does not know the secret. */
  List<byte[]> strange() {
    var hello =
        new Hello(
            dice.of(0, 1, 1, 1, 2, 3, 255),
            dice.oneIn(4) ? new WireVersions(2, 2 + dice.below(254)) : WireVersions.OURS,
            dice.below(4),
            dice.bytes(Hello.SECRET_BYTES),
            dice.bytes(Hello.SECRET_BYTES),
            dice.of("", dice.word(5), dice.word(2_000)),
            dice.of("", "a", dice.word(300), "\n\u001b[31m"));
    byte[] good = frame(FrameType.HELLO, 0, 0, hello.encode());
    return switch (dice.below(5)) {
      case 0 -> List.of(dice.bytes(dice.below(500)));
      case 1 -> List.of(dice.bent(good));
      case 2 -> List.of(good, frame(FrameType.HELLO, 0, 0, hello.encode()));
      case 3 -> List.of(header(dice.below(16), dice.below(256), dice.of(-1, 4_097, 1 << 30)));
      default -> known();
    };
  }

  /** What a peer might say that knows it. */
  List<byte[]> known() {
    var frames = new ArrayList<byte[]>();
    for (int i = 1 + dice.below(MAX_FRAMES); i > 0; i--) {
      byte[] frame = any();
      frames.add(dice.oneIn(6) ? dice.bent(frame) : frame);
    }
    return frames;
  }

  private byte[] any() {
    long stream = dice.oneIn(8) ? dice.of(0L, -1L, Long.MAX_VALUE) : 1 + dice.below(6);
    int flags = dice.of(0, 0, 0, FrameHeader.LAST, FrameHeader.EMPTY, 0xffff);
    return switch (dice.below(12)) {
      case 0, 1, 2, 3 -> {
        byte[] body = MESSAGES.encode(message());
        yield frame(
            FrameType.CALL, flags, stream, dice.oneIn(3) ? dice.bent(body) : body, payload());
      }
      case 4 -> frame(FrameType.CALL, flags, stream, dice.bytes(dice.below(300)), payload());
      case 5 -> {
        byte[] body = PUTS.encode(put());
        yield frame(FrameType.OPEN, flags, stream, dice.oneIn(3) ? dice.bent(body) : body);
      }
      case 6 ->
          frame(FrameType.SLICE, flags, stream, new FrameBody.Slice(number()).encode(), payload());
      case 7 ->
          frame(FrameType.FINISH, flags, stream, new FrameBody.Finish(number(), number()).encode());
      case 8 ->
          frame(
              dice.of(FrameType.ABORT, FrameType.ERROR, FrameType.CREDIT, FrameType.ACK),
              flags,
              stream,
              dice.bytes(dice.below(60)));
      case 9 -> frame(FrameType.PING, flags, 0, NOTHING);
      case 10 -> header(dice.below(16), dice.below(16), dice.of(0, -1, 1 << 20, 1 << 30));
      default -> frame(FrameType.REPLY, flags, stream, dice.bytes(dice.below(60)));
    };
  }

  private int number() {
    return dice.of(0, 1, -1, 1 << 16, 1 << 20, 1 << 24, Integer.MAX_VALUE, Integer.MIN_VALUE);
  }

  private byte[] payload() {
    return dice.bytes(dice.oneIn(2) ? 0 : dice.of(1, 4_096, 65_536, dice.below(1 << 20)));
  }

  private Message message() {
    String key = dice.word(1 + dice.below(3));
    long handle = dice.oneIn(3) ? dice.below(1 << 30) : dice.below(8);
    long offset = dice.of(0L, 1L, -1L, 1L << 40, Long.MAX_VALUE);
    return switch (dice.below(21)) {
      case 0 -> new FileMessage.ListBuckets();
      case 1 -> new FileMessage.Stat(dice.of(bucket, "", "none"), key);
      case 2 -> new FileMessage.Open(bucket, dice.of("canary", key), ReadConditions.NONE);
      case 3 -> new FileMessage.ReadBody(handle, offset, number());
      case 4 -> new FileMessage.CloseHandle(handle);
      case 5 -> new FileMessage.Create(bucket, "wire/" + key, WriteOptions.DEFAULT);
      case 6 -> new FileMessage.WriteBody(handle, offset, number());
      case 7 -> new FileMessage.Publish(handle, Optional.empty(), Map.of());
      case 8 ->
          new FileMessage.CreatePart(
              bucket, key, new UploadId(handle), number(), WriteOptions.DEFAULT);
      case 9 -> new FileMessage.Delete(bucket, "wire/" + key, WriteConditions.NONE);
      case 10 -> {
        var query = new ListQuery(key, "/", "", 1 + dice.below(1_000));
        yield dice.oneIn(2)
            ? new FileMessage.ListKeys(bucket, query)
            : new FileMessage.ListAllKeys(bucket, query);
      }
      case 11 -> new FileMessage.OperatorCommand(dice.bytes(dice.below(100)));
      case 12 -> new FileMessage.AskReport();
      case 13 -> new DataMessage.ChunkRead(chunk(), group(), number(), number(), offset);
      case 14 ->
          new DataMessage.ChunkHave(
              volume(), chunk(), group(), new Epoch(dice.below(5)), number(), number());
      case 15 ->
          new DataMessage.ListChunks(
              volume(), group(), new Epoch(dice.below(5)), Optional.empty(), number());
      case 16 -> new DataMessage.Ping();
      case 17 ->
          new ControlMessage.Submit(dice.of("ns-0", "cluster", key), dice.bytes(dice.below(200)));
      case 18 ->
          new ControlMessage.Query(dice.of("ns-0", "cluster", key), dice.bytes(dice.below(200)));
      case 19 ->
          new FileMessage.Put(
              bucket, "wire/" + key, WriteOptions.DEFAULT, number(), Optional.empty(), Map.of());
      default -> new ControlMessage.Heartbeat(new NodeId("fuzz"), offset, offset, List.of());
    };
  }

  private ChunkPut put() {
    var chain = new ArrayList<Hop>();
    for (int i = dice.of(1, 1, 1, 2, 8); i > 0; i--) {
      chain.add(new Hop(dice.oneIn(5) ? new NodeId("none") : node, volume()));
    }
    return new ChunkPut(
        chunk(),
        group(),
        new Epoch(dice.below(5)),
        dice.of(Durability.values()),
        dice.of(1, 100, 1 << 20, 64 << 20, Integer.MAX_VALUE),
        chain);
  }

  private VolumeId volume() {
    return dice.oneIn(3) || volumes.isEmpty()
        ? new VolumeId(dice.below(100))
        : volumes.get(dice.below(volumes.size()));
  }

  private GroupId group() {
    return new GroupId(dice.oneIn(5) ? number() : 1 + dice.below(40));
  }

  private ChunkId chunk() {
    return new ChunkId(new SessionId(FIRST_SESSION + dice.below(SESSIONS)), 1 + dice.below(1_000));
  }

  private byte[] frame(FrameType type, int flags, long stream, byte[] body) {
    return frame(type, flags, stream, body, NOTHING);
  }

  private byte[] frame(FrameType type, int flags, long stream, byte[] body, byte[] payload) {
    int room = Math.min(payload.length, type.maxPayloadBytes());
    var crc = new CRC32C();
    crc.update(payload, 0, room);
    int told = room == 0 ? 0 : (int) crc.getValue() ^ (dice.oneIn(6) ? 1 : 0);
    byte[] fit = body.length > type.maxBodyBytes() ? NOTHING : body;
    byte[] head =
        FrameHeader.encode(FrameHeader.FIRST_VERSION, type, flags, stream, fit, room, told);
    return ByteBuffer.allocate(head.length + room).put(head).put(payload, 0, room).array();
  }

  /** A header of a type that may not be one, over lengths that may be too much, well checked. */
  private byte[] header(int type, int flags, int bodyLength) {
    ByteBuffer out =
        ByteBuffer.allocate(FrameHeader.BYTES)
            .put("FBYW".getBytes(UTF_8))
            .put((byte) (dice.oneIn(4) ? dice.below(256) : FrameHeader.FIRST_VERSION))
            .put((byte) type)
            .putShort((short) flags)
            .putLong(dice.below(10))
            .putInt(bodyLength)
            .putInt(dice.of(0, 0, -1, (1 << 20) + 1))
            .putInt(0);
    var crc = new CRC32C();
    crc.update(out.array(), 0, CHECKED_BYTES);
    return out.putInt((int) crc.getValue()).array();
  }
}
