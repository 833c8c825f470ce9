package io.forebay.app.command;

import io.forebay.app.config.ConfigReader;
import io.forebay.app.config.ServerConfig;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** How a command finds the node that it talks to. */
public final class Connect {
  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Data directory of a node that runs on this machine (default: ./forebay-data); its address and"
              + " secret are read there.")
  private @Nullable Path data;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Configuration file of a node; its address and secret are used.")
  private @Nullable Path config;

  @Option(
      names = "--connect",
      paramLabel = "HOST:PORT",
      description = "Address of the node, instead of that of --data or --config.")
  private @Nullable String address;

  /** Opens a connection; the caller closes it. */
  public Connection open() {
    String secret;
    String found;
    if (config != null) {
      ServerConfig server = ConfigReader.read(config);
      secret = server.secret();
      found = server.listen();
    } else {
      Path directory = Optional.ofNullable(data).orElse(Path.of("forebay-data"));
      Path file = directory.resolve("endpoint.json");
      try {
        JsonNode endpoint = Json.parse(Files.readString(file));
        found = endpoint.path("address").asString("");
        secret = endpoint.path("secret").asString("");
      } catch (IOException failure) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "no node was started with "
                + directory
                + " ("
                + file
                + " cannot be read); start one with `forebay serve`, or say --data DIR or --config FILE",
            failure);
      }
    }
    return Connection.open(Optional.ofNullable(address).orElse(found), secret);
  }
}
