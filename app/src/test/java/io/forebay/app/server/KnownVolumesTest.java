package io.forebay.app.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.app.runtime.JdkEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.volume.Volume;
import io.forebay.store.disk.DiskSettings;
import io.forebay.store.disk.DiskVolume;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A disk that is not mounted is not taken for a new one. */
final class KnownVolumesTest {
  @TempDir private Path directory;
  private final JdkEnv env =
      new JdkEnv(escaped -> {
        throw new AssertionError(escaped);
      });
  private Path meta;
  private Path disk0;
  private Path disk1;

  @BeforeEach
  void twoDisksAreUsedOnce() {
    meta = directory.resolve("meta");
    disk0 = directory.resolve("disk0");
    disk1 = directory.resolve("disk1");
    start(List.of(disk0, disk1));
  }

  @AfterEach
  void close() {
    env.close();
  }

  /** What a server does at its start, in its order; gives the volumes' names. */
  private List<String> start(List<Path> directories) {
    KnownVolumes known = KnownVolumes.read(meta);
    known.requirePresent(directories);
    return accept(directories);
  }

  private List<String> accept(List<Path> directories) {
    KnownVolumes known = KnownVolumes.read(meta);
    var volumes = new ArrayList<Volume>();
    try {
      for (Path each : directories) {
        volumes.add(DiskVolume.open(env, each, DiskSettings.DEFAULT));
      }
      known.keep(directories, volumes);
    } finally {
      volumes.forEach(Volume::close);
    }
    return volumes.stream().map(volume -> volume.id().toString()).toList();
  }

  private void refused(List<Path> directories, String... says) {
    assertThatThrownBy(() -> start(directories))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.CONFIGURATION))
        .satisfies(failure -> assertThat(failure.getMessage()).contains(says));
  }

  private static void wipe(Path tree) throws IOException {
    try (Stream<Path> all = Files.walk(tree)) {
      for (Path path : all.toList().reversed()) {
        Files.delete(path);
      }
    }
  }

  @Test
  void disksThatAreThereAreTakenAgain() {
    List<String> first = start(List.of(disk0, disk1));
    assertThat(start(List.of(disk0, disk1))).isEqualTo(first);
    // Mounted the other way round: nothing is missing.
    assertThat(start(List.of(disk1, disk0))).isEqualTo(first.reversed());
  }

  @Test
  void anEmptyDirectoryWhereAVolumeWasIsRefusedAndLeftAsItIs() throws IOException {
    String lost = start(List.of(disk0, disk1)).get(1);
    wipe(disk1);
    refused(
        List.of(disk0, disk1), lost, disk1.toString(), "mounted", "start once", "--accept-empty");
    assertThat(disk1).doesNotExist();
    Files.createDirectories(disk1); // an empty mount point
    refused(List.of(disk0, disk1), lost);
    assertThat(disk1).isEmptyDirectory();
  }

  @Test
  void anotherVolumeInItsPlaceIsRefusedToo() throws IOException {
    List<String> before = start(List.of(disk0, disk1));
    wipe(disk1);
    Path other = directory.resolve("other");
    DiskVolume.open(env, other, DiskSettings.DEFAULT).close();
    Files.move(other, disk1);
    refused(List.of(disk0, disk1), before.get(1), "there is volume v");
  }

  @Test
  void aReplacedDiskIsTakenOnAWordOnceAndKnownFromThenOn() throws IOException {
    List<String> before = start(List.of(disk0, disk1));
    wipe(disk1);
    List<String> after = accept(List.of(disk0, disk1));
    assertThat(after.getFirst()).isEqualTo(before.getFirst());
    assertThat(after.get(1)).isNotEqualTo(before.get(1));
    assertThat(start(List.of(disk0, disk1))).isEqualTo(after);
    wipe(disk1);
    refused(List.of(disk0, disk1), after.get(1));
  }

  @Test
  void aDirectoryTakenOutOfTheConfigurationIsForgotten() throws IOException {
    start(List.of(disk0));
    wipe(disk1);
    start(List.of(disk0, disk1));
  }

  @Test
  void theLineOfADirectoryMayBeRemovedInstead() throws IOException {
    wipe(disk1);
    Path file = meta.resolve(KnownVolumes.FILE);
    Files.write(
        file, Files.readAllLines(file).stream().filter(line -> !line.endsWith("disk1")).toList());
    start(List.of(disk0, disk1));
    assertThat(Files.readAllLines(file)).hasSize(2);
  }

  @Test
  void aDamagedRecordIsNotTakenForAnEmptyOne() throws IOException {
    Files.writeString(meta.resolve(KnownVolumes.FILE), "nonsense\n");
    assertThatThrownBy(() -> start(List.of(disk0, disk1)))
        .hasMessageContaining("volumes.known is damaged at 'nonsense'");
  }
}
