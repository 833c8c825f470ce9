package io.forebay.app.chaos;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.app.command.Json;
import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import tools.jackson.databind.JsonNode;

/**
 * An outside client: boto3 with its default settings, in a Python process of its own, at the S3
 * doors. It is told what to do and answers, a line of JSON each; it makes the contents itself, and
 * compares what it reads byte by byte.
 */
final class Boto3Door implements Door {
  private static final String PROGRAM = "boto3_client.py";

  private final Machines machines;
  private final Path log;
  private final Process process;
  private final BufferedWriter asked;
  private final BufferedReader answered;

  private Boto3Door(Machines machines, Path log, Process process) {
    this.machines = machines;
    this.log = log;
    this.process = process;
    this.asked = process.outputWriter(UTF_8);
    this.answered = process.inputReader(UTF_8);
  }

  /**
   * Starts the process.
   *
   * @param directory for the program and what it says of itself
   */
  static Boto3Door start(Machines machines, Path directory) throws IOException {
    Path python = Launcher.tool("boto3", "PyPI", ".venv/bin/python");
    Path program = directory.resolve(PROGRAM);
    try (InputStream source =
        Optional.ofNullable(Boto3Door.class.getResourceAsStream(PROGRAM)).orElseThrow()) {
      Files.copy(source, program, StandardCopyOption.REPLACE_EXISTING);
    }
    var command = new ArrayList<>(List.of(python.toString(), "-B", program.toString()));
    command.add(Machines.BUCKET);
    for (int node = 0; node < machines.count(); node++) {
      command.add("http://" + machines.s3(node));
    }
    Path log = directory.resolve("boto3.log");
    var builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()));
    Map<String, String> environment = builder.environment();
    environment.keySet().removeIf(name -> name.startsWith("AWS_"));
    environment.put("AWS_ACCESS_KEY_ID", Machines.ACCESS_KEY);
    environment.put("AWS_SECRET_ACCESS_KEY", Machines.SECRET_KEY);
    environment.put("AWS_DEFAULT_REGION", "us-east-1");
    environment.put("AWS_EC2_METADATA_DISABLED", "true");
    environment.put("AWS_CONFIG_FILE", directory.resolve("none").toString());
    environment.put("AWS_SHARED_CREDENTIALS_FILE", directory.resolve("none").toString());
    return new Boto3Door(machines, log, builder.start());
  }

  @Override
  public boolean put(int node, String key, long tag, int lengthBytes, LongConsumer onBytes) {
    JsonNode answer =
        ask(Map.of("op", "put", "node", node, "key", key, "tag", tag, "length", lengthBytes));
    return answer.path("sent").asInt(1) > 1;
  }

  @Override
  public boolean sendsAgain() {
    return true;
  }

  @Override
  public long get(int node, String key) {
    JsonNode answer = ask(Map.of("op", "get", "node", node, "key", key));
    String wrong = answer.path("wrong").asString("");
    if (!wrong.isEmpty()) {
      throw new Violation(key + ", read by boto3 through " + machines.name(node) + ", " + wrong);
    }
    return answer.path("tag").asLong();
  }

  private JsonNode ask(Map<String, Object> request) {
    try {
      asked.write(Json.line(new TreeMap<>(request)));
      asked.newLine();
      asked.flush();
      String line = answered.readLine();
      if (line == null) {
        throw new IOException("it has ended");
      }
      JsonNode answer = Json.parse(line);
      String failed = answer.path("failed").asString("");
      if (!failed.isEmpty()) {
        throw new ForebayException(ErrorCode.UNAVAILABLE, "boto3: " + failed);
      }
      return answer;
    } catch (IOException ended) {
      throw new Violation("the Python client does not answer (" + ended + "); see " + log, ended);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
