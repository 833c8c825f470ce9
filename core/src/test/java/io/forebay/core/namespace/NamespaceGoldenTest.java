package io.forebay.core.namespace;

import static io.forebay.core.namespace.Shard.BACK;
import static io.forebay.core.namespace.Shard.BUCKET;
import static io.forebay.core.namespace.Shard.NODE;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The bytes of every command in the log, one hex line each, as they are on disks already. */
final class NamespaceGoldenTest {
  private static final SessionId SESSION = new SessionId(3);
  private static final UploadId UPLOAD = new UploadId(4);
  private static final Generation GENERATION = new Generation(5);
  private static final ObjectMetadata METADATA =
      new ObjectMetadata("text/plain", Map.of("expires", "x"), Map.of("k", "v"));

  private static List<NamespaceCommand> commands() {
    Manifest extents = Shard.chunks(SESSION, 1, 3);
    Extent list = ((Manifest.Extents) extents).extents().getFirst();
    return List.of(
        new NamespaceCommand.OpenSession(NODE),
        new NamespaceCommand.CloseSession(SESSION),
        new NamespaceCommand.SessionLowWater(SESSION, 7, 8),
        new NamespaceCommand.SealBucket(BUCKET),
        new NamespaceCommand.Publish(
            SESSION,
            1,
            BUCKET,
            "k/é",
            20,
            Optional.of("etag"),
            6,
            METADATA,
            extents,
            Preconditions.ABSENT,
            BACK),
        new NamespaceCommand.Delete(BUCKET, "k", Preconditions.ifMatch("e"), BACK),
        new NamespaceCommand.DeleteMany(BUCKET, List.of("a", "b"), BACK),
        new NamespaceCommand.Rename(BUCKET, "a", "b", BACK),
        new NamespaceCommand.Copy(
            BUCKET,
            "a",
            Optional.of(GENERATION),
            BUCKET,
            "b",
            Optional.of(METADATA),
            Preconditions.NONE,
            BACK),
        new NamespaceCommand.CreateUpload(BUCKET, "k", METADATA, 9),
        new NamespaceCommand.PutPart(
            SESSION,
            2,
            BUCKET,
            "k",
            UPLOAD,
            1,
            500,
            Optional.empty(),
            6,
            new Manifest.InChunk(list, List.of(new ChunkRange(SESSION, 5, 9)), 500),
            Map.of()),
        new NamespaceCommand.PutPartCopy(
            BUCKET, "k", UPLOAD, 2, BUCKET, "a", Optional.empty(), 10, -1),
        new NamespaceCommand.CompleteUpload(
            BUCKET,
            "k",
            UPLOAD,
            List.of(new CompletedPart(1, "e")),
            Preconditions.NONE,
            -1,
            BACK,
            Map.of()),
        new NamespaceCommand.AbortUpload(BUCKET, "k", UPLOAD),
        new NamespaceCommand.FlushBegin(
            BUCKET, "k", NODE, 11, Optional.of(Shard.found("s", GENERATION, 12)), 13, 14),
        new NamespaceCommand.FlushExtend(BUCKET, "k", 12, 13, 14),
        new NamespaceCommand.FlushEnd(BUCKET, "k", 12, "s"),
        new NamespaceCommand.FlushUnresolved(BUCKET, "k", 12, ErrorCode.TIMEOUT, "late", 16),
        new NamespaceCommand.FlushResolve(BUCKET, "k", 11, new StoreHead.Missing(), 15),
        new NamespaceCommand.FlushFailed(BUCKET, "k", 12, ErrorCode.STORE_THROTTLED, "429", 16),
        new NamespaceCommand.FlushConflict(BUCKET, "k", 12, Shard.foreign("s"), "why"),
        new NamespaceCommand.FlushAbandon(NODE),
        new NamespaceCommand.FlushNow(BUCKET, "p/", "", 100),
        new NamespaceCommand.ConflictKeep(
            BUCKET, "k", Optional.of(GENERATION), new StoreSight.Present("s")),
        new NamespaceCommand.ConflictTake(
            BUCKET, "k", Optional.empty(), new StoreSight.Absent(), 0, METADATA, 17, BACK),
        new NamespaceCommand.ExpireTick(100),
        new NamespaceCommand.FlushTrouble(BUCKET, "k", 11, ErrorCode.STORE_DENIED, "403", 16),
        new NamespaceCommand.FlushUpload(BUCKET, "k", 12, "u-1"),
        new NamespaceCommand.ChangeHeaders(BUCKET, "k", Map.of("x-amz-h", "v")),
        new NamespaceCommand.SetQuota(BUCKET, 18),
        new NamespaceCommand.SetPolicies(BUCKET, List.of(PoliciesTest.RUN)),
        new NamespaceCommand.LetGo(BUCKET, PoliciesTest.RUN, "run/1/", GENERATION, BACK),
        new NamespaceCommand.FlushHeld(BUCKET, List.of("a", "b"), GENERATION, BACK),
        new NamespaceCommand.ReplacePolicies(BUCKET, List.of(), List.of(PoliciesTest.RUN)));
  }

  @Test
  void everyCommandHasTheBytesThatLogsHold() throws IOException {
    RecordCodec<NamespaceCommand> codec = RecordCodec.of(NamespaceCommand.class);
    List<String> lines =
        commands().stream()
            .map(
                c -> c.getClass().getSimpleName() + " " + HexFormat.of().formatHex(codec.encode(c)))
            .toList();
    try (InputStream golden = getClass().getResourceAsStream("commands.txt")) {
      assertThat(golden).isNotNull();
      assertThat(lines)
          .isEqualTo(new String(golden.readAllBytes(), StandardCharsets.UTF_8).lines().toList());
    }
    for (NamespaceCommand command : commands()) {
      assertThat(codec.decode(codec.encode(command))).isEqualTo(command);
    }
  }

  /** Parts and completions got headers later; rows and logs of before end where those begin. */
  @Test
  void partsAndCompletionsOfBeforeTheyHadHeadersAreRead() {
    RecordCodec<NamespaceCommand> codec = RecordCodec.of(NamespaceCommand.class);
    for (NamespaceCommand command : commands()) {
      if (command instanceof NamespaceCommand.PutPart
          || command instanceof NamespaceCommand.CompleteUpload) {
        byte[] bytes = codec.encode(command);
        assertThat(codec.decode(Arrays.copyOf(bytes, bytes.length - 1))).isEqualTo(command);
      }
    }
    byte[] row =
        Rows.bytes(Rows.PartRow.class, new Rows.PartRow(1, 2, "e", 3, Collections.emptyMap(), 4));
    assertThat(HexFormat.of().formatHex(row))
        .isEqualTo(
            "0000000000000001"
                + "0000000000000002"
                + "0165"
                + "0000000000000003"
                + "00"
                + "0000000000000004");
    assertThat(
            RecordCodec.of(Rows.PartRow.class).decode(Arrays.copyOf(row, row.length - 9)).headers())
        .isEmpty();
    byte[] made = Rows.bytes(Rows.MadePartRow.class, new Rows.MadePartRow(1, 2, Map.of("h", "v")));
    assertThat(HexFormat.of().formatHex(made))
        .isEqualTo("0000000000000001" + "0000000000000002" + "01" + "0168" + "0176");
  }

  /** What is not counted in the row of an older writer is not given back either. */
  @Test
  void rowsOfBeforeBytesWereCountedHoldNone() {
    byte[] part =
        Rows.bytes(Rows.PartRow.class, new Rows.PartRow(1, 2, "e", 3, Collections.emptyMap(), 4));
    assertThat(RecordCodec.of(Rows.PartRow.class).decode(Arrays.copyOf(part, part.length - 8)))
        .isEqualTo(new Rows.PartRow(1, 2, "e", 3, Collections.emptyMap(), 0));
    var row =
        new Rows.GenerationRow(
            BUCKET, new InodeId(1), 2, "e", METADATA, 3, false, Optional.empty(), 4);
    byte[] bytes = Rows.bytes(Rows.GenerationRow.class, row);
    assertThat(
            RecordCodec.of(Rows.GenerationRow.class).decode(Arrays.copyOf(bytes, bytes.length - 8)))
        .isEqualTo(row.uncounted());
    assertThat(HexFormat.of().formatHex(Rows.bytes(Rows.UseRow.class, new Rows.UseRow(5, 6))))
        .isEqualTo("0000000000000005" + "0000000000000006");
  }

  @Test
  void noCommandIsMissingHere() {
    assertThat(commands().stream().<Class<?>>map(Object::getClass))
        .containsExactlyInAnyOrderElementsOf(
            Arrays.asList(NamespaceCommand.class.getPermittedSubclasses()));
  }

  @Test
  void theOrdersOfEnumsInRowsAndCommandsArePinned() {
    assertThat(ChunkState.values())
        .containsExactly(ChunkState.OWED, ChunkState.CLEAN, ChunkState.GARBAGE, ChunkState.OPEN);
    assertThat(FlushKind.values())
        .containsExactly(FlushKind.PUT, FlushKind.COPY, FlushKind.DELETE, FlushKind.RESOLVE);
  }
}
