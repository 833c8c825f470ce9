package io.forebay.core.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class MemoryVolumeTest extends VolumeContract {
  @Override
  protected Volume volume(long capacityBytes) {
    var disk = new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), capacityBytes);
    return new MemoryVolume(env, disk);
  }

  @Test
  void theNextRunFindsWhatWasCommittedAndNoneOfTheRest() {
    var disk = new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), 1 << 20);
    var first = new MemoryVolume(env, disk);
    StoredChunk kept = store(first, sources, id(1), GROUP, 5000, 5000);
    ChunkAppender open = append(first, sources, id(2), GROUP, 5000, 5000);
    var second = new MemoryVolume(env, disk);
    assertThat(second.list(GROUP, Optional.empty(), 9)).containsExactly(kept);
    assertThat(second.usage().usedBytes()).isEqualTo(5000);
    assertThatThrownBy(() -> open.commit(5000, content(id(2), 5000).crc32c()))
        .isInstanceOf(ForebayException.class);
    assertThat(second.find(id(2))).isEmpty();
    second.delete(List.of(id(1)));
  }

  @Test
  void whatAPowerCutHasTornIsHeldUntilTheVolumeIsSettled() {
    var disk = new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), 1 << 20);
    var volume = new MemoryVolume(env, disk);
    store(volume, sources, id(1), GROUP, 5000, 5000);
    store(volume, sources, id(2), GROUP, 5000, 5000);
    disk.powerCut(2, chunk -> true, chunk -> chunk.id().equals(id(1)));
    assertThat(volume.find(id(1))).isPresent();
    assertThat(disk.holds(id(1))).isFalse();
    assertThat(volume.find(id(2))).isEmpty();
    volume.settle(GROUP);
    assertThat(volume.find(id(1))).isEmpty();
    assertThat(volume.usage().usedBytes()).isZero();
  }

  @Test
  void aFailedWriteEndsItsAppendAndNoOther() {
    var disk = new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), 1 << 20);
    var volume = new MemoryVolume(env, disk);
    disk.failNextWrite();
    assertThatThrownBy(() -> append(volume, sources, id(1), GROUP, 5000, 5000))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.IO_ERROR));
    store(volume, sources, id(2), GROUP, 5000, 5000);
    assertThat(disk.all()).extracting(StoredChunk::id).containsExactly(id(2));
    volume.delete(List.of(id(2)));
  }
}
