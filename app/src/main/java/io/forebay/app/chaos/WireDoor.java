package io.forebay.app.chaos;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Transfers;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.WriteOptions;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.Optional;
import java.util.function.LongConsumer;

/** The command line's own way: the file service over the wire, over one connection at a time. */
final class WireDoor implements Door {
  private final Machines machines;
  private int connected;
  private Optional<Connection> connection = Optional.empty();

  WireDoor(Machines machines) {
    this.machines = machines;
  }

  private Connection to(int node) {
    if (connected != node) {
      close();
    }
    Connection open = connection.orElseGet(() -> machines.connect(node));
    connected = node;
    connection = Optional.of(open);
    return open;
  }

  @Override
  public boolean put(int node, String key, long tag, int lengthBytes, LongConsumer onBytes) {
    var source = new ByteArrayInputStream(Tagged.content(tag, lengthBytes));
    try {
      Connection open = to(node);
      Transfers.put(
          open.files(), open.pool(), Machines.BUCKET, key, source, WriteOptions.DEFAULT, onBytes);
      return false;
    } catch (ForebayException failure) {
      close();
      throw failure;
    }
  }

  @Override
  public boolean sendsAgain() {
    return false;
  }

  @Override
  public long get(int node, String key) {
    var content = new ByteArrayOutputStream();
    try {
      Transfers.get(to(node).files(), Machines.BUCKET, key, content, bytes -> {});
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.NOT_FOUND) {
        return History.ABSENT;
      }
      close();
      throw failure;
    }
    return Tagged.tag(content.toByteArray(), key + ", read through " + machines.name(node) + ",");
  }

  @Override
  public void close() {
    connection.ifPresent(Connection::close);
    connection = Optional.empty();
  }
}
