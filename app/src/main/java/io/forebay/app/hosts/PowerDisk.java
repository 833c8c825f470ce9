package io.forebay.app.hosts;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * The disk of a machine whose power can be cut: an ext4 file system on a loop device on a file that
 * a program of ours serves (power_device.py), which has a write cache and forgets at a cut what no
 * flush has covered. So everything goes that a power cut takes: what was in the page cache, in the
 * file system's journal, and in the device.
 *
 * <p>A cut is three steps, between which the caller ends the machine's processes: {@link #cut},
 * from which on nothing is answered; kill -9; {@link #fail}, without which they could not end.
 * {@link #restore} is the power's return. Closing removes all of it; so does the end of this JVM,
 * but for a mount of the directory on itself where that was killed.
 */
public final class PowerDisk implements AutoCloseable {
  private static final String NEEDS =
      "a disk whose power can be cut needs root, /dev/fuse, loop devices, ext4 and python3";
  private static final String PROGRAM = "power_device.py";
  private static final long LOOK_MILLIS = 50;
  private static final long UNMOUNT_NANOS = TimeUnit.SECONDS.toNanos(20);

  private final Path directory;
  private final Path device;
  private final Path bootId;
  private final Process process;
  private final BufferedWriter asked;
  private final BufferedReader answered;
  private String loop;

  /**
   * Makes an empty disk and mounts it.
   *
   * @param home for what the disk consists of, and where it is mounted; made where it is not there
   * @param mebibytes of the file system; of the disk under home, as far as they are used
   * @throws ForebayException CONFIGURATION where this user may not, or something is missing
   */
  public PowerDisk(Path home, int mebibytes) throws IOException {
    this.directory = home.resolve("mounted");
    this.device = home.resolve("device");
    this.bootId = home.resolve("boot_id");
    Files.createDirectories(directory);
    Path image = home.resolve("image");
    try (var file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength((long) mebibytes << 20);
    }
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", image.toString());
    Files.write(device, new byte[0]);
    newBoot();
    Path program = home.resolve(PROGRAM);
    try (InputStream source =
        Optional.ofNullable(PowerDisk.class.getResourceAsStream(PROGRAM)).orElseThrow()) {
      Files.copy(source, program, StandardCopyOption.REPLACE_EXISTING);
    }
    // What is mounted and unmounted there is so in the namespaces of running processes, too: a
    // mount that they kept would keep the file system.
    run("mount", "--bind", directory.toString(), directory.toString());
    run("mount", "--make-shared", directory.toString());
    this.process =
        new ProcessBuilder(
                "python3",
                "-B",
                program.toString(),
                image.toString(),
                device.toString(),
                directory.toString())
            .redirectError(ProcessBuilder.Redirect.appendTo(home.resolve("device.log").toFile()))
            .start();
    this.asked = process.outputWriter(UTF_8);
    this.answered = process.inputReader(UTF_8);
    this.loop = "";
    try {
      awaitAnswer("ready");
      attach();
    } catch (RuntimeException failure) {
      close();
      throw failure;
    }
  }

  /** What is missing here for such a disk, in words; empty when nothing is. */
  public static Optional<String> missing() {
    if (!ShapedHosts.possible()) {
      return Optional.of("root and iproute2 (ip netns)");
    }
    if (!Files.exists(Path.of("/dev/fuse")) || !Files.exists(Path.of("/dev/loop-control"))) {
      return Optional.of("/dev/fuse and loop devices");
    }
    try {
      run("python3", "--version");
      run("mkfs.ext4", "-V");
      return Optional.empty();
    } catch (ForebayException absent) {
      return Optional.of("python3 and mkfs.ext4");
    }
  }

  /** Where it is mounted. */
  public Path directory() {
    return directory;
  }

  /**
   * What to put before a command of the machine: it sees the machine's boot id, another one after
   * each cut, and this disk's file systems as they come and go.
   */
  public List<String> machine() {
    return List.of(
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "sh",
        "-c",
        "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"",
        bootId.toString());
  }

  /**
   * The device has a speed from now on: 40 MB/s and 1 ms for a flush.
   *
   * @param times how much slower it is than that, from 1 on
   */
  public void slow(int times) {
    ask("slow " + times);
  }

  /**
   * The power is cut: what was not flushed is kept or not as the seed has it, and nothing is
   * answered any more.
   */
  public void cut(long seed) {
    ask("cut " + seed);
  }

  /** Lets those fail that wait for the disk, or use it. */
  public void fail() {
    ask("fail");
  }

  /** The power is back, and the disk mounted; what used it has ended. */
  public void restore() throws IOException {
    unmount();
    run("losetup", "-d", loop);
    ask("on");
    newBoot();
    attach();
  }

  private void newBoot() throws IOException {
    Files.writeString(bootId, UUID.randomUUID() + "\n");
  }

  private void attach() {
    loop = run("losetup", "-f", "--show", device.toString()).strip();
    run("mount", "-t", "ext4", loop, directory.toString());
  }

  /** Tried again while a process that was killed is still ending. */
  private void unmount() throws IOException {
    long deadline = System.nanoTime() + UNMOUNT_NANOS;
    while (true) {
      try {
        run("umount", directory.toString());
        return;
      } catch (ForebayException busy) {
        if (System.nanoTime() - deadline >= 0) {
          throw busy;
        }
      }
      try {
        Thread.sleep(LOOK_MILLIS);
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException("interrupted while unmounting " + directory);
      }
    }
  }

  private void ask(String command) {
    try {
      asked.write(command);
      asked.newLine();
      asked.flush();
    } catch (IOException ended) {
      throw gone(command, ended.toString());
    }
    awaitAnswer(command);
  }

  private void awaitAnswer(String wanted) {
    try {
      String line = answered.readLine();
      if (!wanted.equals(line)) {
        throw gone(wanted, "it said " + line);
      }
    } catch (IOException ended) {
      throw gone(wanted, ended.toString());
    }
  }

  private ForebayException gone(String command, String why) {
    return new ForebayException(
        ErrorCode.CONFIGURATION,
        NEEDS + "; " + PROGRAM + " did not answer '" + command + "' (" + why + ") for " + device);
  }

  private static String run(String... command) {
    return Program.run(NEEDS, command);
  }

  @Override
  public void close() {
    try {
      // At its end the program unmounts what it serves.
      asked.close();
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
      run("umount", "-l", directory.toString());
    } catch (IOException | ForebayException absent) {
      // It had ended; or the directory was unmounted with all that lay on it.
    } catch (InterruptedException stop) {
      Thread.currentThread().interrupt();
    }
  }
}
