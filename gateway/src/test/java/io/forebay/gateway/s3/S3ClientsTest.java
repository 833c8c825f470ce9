package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The door, used by others' clients in processes of their own (scripts/test-tools.sh brings them).
 */
@Tag("e2e")
final class S3ClientsTest {
  private static final Path ROOT = Path.of(System.getProperty("forebay.root"));
  private static final Path BIN = ROOT.resolve(".venv/bin");

  @TempDir Path temp;
  private final TestDoor door = new TestDoor();

  @AfterEach
  void close() {
    door.close();
  }

  @Test
  void boto3AndPlainSocketsSeeS3() throws Exception {
    Path script = ROOT.resolve("gateway/src/test/python/s3_door_test.py");
    run(BIN.resolve("python").toString(), "-m", "unittest", "-v", script.toString());
    assertThat(door.door.metrics().requests())
        .extracting(S3Metrics.Requests::operation)
        .contains("PutObject", "GetObject", "CompleteMultipartUpload", "DeleteObjects");
    assertThat(door.door.metrics().receivedBytes()).isGreaterThan(20 << 20);
    assertThat(door.door.metrics().sentBytes()).isGreaterThan(20 << 20);
  }

  @Test
  void theAwsCommandLineCopiesListsAndRemoves() throws Exception {
    Path file = temp.resolve("file");
    var body = new byte[20 << 20];
    new Random(1).nextBytes(body);
    Files.write(file, body);
    aws("s3", "mb", "s3://cli-bucket");
    aws("s3", "cp", file.toString(), "s3://cli-bucket/dir/a b");
    assertThat(aws("s3", "ls", "s3://cli-bucket/dir/")).contains("20971520 a b");
    aws("s3", "mv", "s3://cli-bucket/dir/a b", "s3://cli-bucket/moved");
    Path back = temp.resolve("back");
    aws("s3", "cp", "s3://cli-bucket/moved", back.toString());
    assertThat(Arrays.equals(Files.readAllBytes(back), body)).isTrue();
    Path tree = Files.createDirectories(temp.resolve("tree/x"));
    Files.writeString(tree.resolve("1"), "one");
    Files.writeString(tree.resolve("2"), "two");
    aws("s3", "sync", temp.resolve("tree").toString(), "s3://cli-bucket/tree");
    assertThat(aws("s3", "ls", "--recursive", "s3://cli-bucket")).contains("tree/x/1", "tree/x/2");
    aws("s3", "rm", "--recursive", "s3://cli-bucket");
    aws("s3", "rb", "s3://cli-bucket");
  }

  @Test
  void s3cmdPutsInPartsGetsSyncsAndRemoves() throws Exception {
    Path file = temp.resolve("file");
    var body = new byte[20 << 20];
    new Random(2).nextBytes(body);
    Files.write(file, body);
    s3cmd("mb", "s3://s3cmd-bucket");
    s3cmd("put", "--multipart-chunk-size-mb=8", file.toString(), "s3://s3cmd-bucket/dir/a b");
    assertThat(s3cmd("ls", "s3://s3cmd-bucket/dir/")).contains("20971520", "dir/a b");
    assertThat(s3cmd("info", "s3://s3cmd-bucket/dir/a b")).contains("File size: 20971520");
    s3cmd("cp", "s3://s3cmd-bucket/dir/a b", "s3://s3cmd-bucket/copy");
    Path back = temp.resolve("back");
    s3cmd("get", "s3://s3cmd-bucket/copy", back.toString());
    assertThat(Files.mismatch(file, back)).isEqualTo(-1);
    Path tree = Files.createDirectories(temp.resolve("tree/x"));
    Files.writeString(tree.resolve("1"), "one");
    Files.writeString(tree.resolve("2"), "two");
    s3cmd("sync", temp.resolve("tree") + "/", "s3://s3cmd-bucket/tree/");
    assertThat(s3cmd("ls", "--recursive", "s3://s3cmd-bucket/tree/")).contains("x/1", "x/2");
    s3cmd("del", "--recursive", "--force", "s3://s3cmd-bucket");
    s3cmd("rb", "s3://s3cmd-bucket");
  }

  private String s3cmd(String... arguments) throws IOException, InterruptedException {
    String host = door.endpoint().substring("http://".length());
    Path config = temp.resolve("s3cfg");
    Files.writeString(
        config,
        """
        [default]
        access_key = %s
        secret_key = %s
        host_base = %s
        host_bucket = %s
        use_https = False
        bucket_location = %s
        """
            .formatted(
                TestDoor.KEY.accessKeyId(),
                TestDoor.KEY.secret(),
                host,
                host,
                S3Config.DEFAULT_REGION));
    List<String> command = new ArrayList<>();
    command.add(BIN.resolve("python").toString());
    command.add(BIN.resolve("s3cmd").toString());
    command.addAll(List.of("--config", config.toString(), "--no-progress"));
    command.addAll(List.of(arguments));
    return run(command.toArray(String[]::new));
  }

  private String aws(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(BIN.resolve("python").toString());
    command.add(BIN.resolve("aws").toString());
    command.addAll(List.of("--endpoint-url", door.endpoint()));
    command.addAll(List.of(arguments));
    return run(command.toArray(String[]::new));
  }

  private String run(String... command) throws IOException, InterruptedException {
    Path output = temp.resolve("output");
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(output.toFile());
    builder.environment().put("FOREBAY_S3_ENDPOINT", door.endpoint());
    builder.environment().put("AWS_ACCESS_KEY_ID", TestDoor.KEY.accessKeyId());
    builder.environment().put("AWS_SECRET_ACCESS_KEY", TestDoor.KEY.secret());
    builder.environment().put("AWS_DEFAULT_REGION", S3Config.DEFAULT_REGION);
    builder.environment().put("AWS_EC2_METADATA_DISABLED", "true");
    builder.environment().put("AWS_CONFIG_FILE", temp.resolve("none").toString());
    builder.environment().put("AWS_SHARED_CREDENTIALS_FILE", temp.resolve("none").toString());
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    int code = builder.start().waitFor();
    String text = Files.readString(output, StandardCharsets.UTF_8);
    assertThat(code).as("%s\n%s", String.join(" ", command), text).isZero();
    return text;
  }
}
