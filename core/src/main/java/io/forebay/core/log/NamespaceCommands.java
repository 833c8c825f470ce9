package io.forebay.core.log;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;

/** A namespace shard as the meaning of a log. */
public final class NamespaceCommands implements Commands {
  private final NamespaceMachine machine;

  public NamespaceCommands(NamespaceMachine machine) {
    this.machine = machine;
  }

  @Override
  public byte[] apply(
      long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out) {
    return RecordCodec.of(NamespaceResult.class)
        .encode(
            machine.apply(
                position,
                wallMillis,
                level,
                RecordCodec.of(NamespaceCommand.class).decode(command),
                out,
                in));
  }

  @Override
  public void raised(int before, int level, SortedMap.View in, Batch out) {
    machine.raise(before, level, out, in);
  }

  @Override
  public int check(byte[] command) {
    return RecordCodec.of(NamespaceCommand.class).decode(command).level();
  }

  @Override
  public byte[] query(SortedMap.View in, byte[] query) {
    return RecordCodec.of(NamespaceAnswer.class)
        .encode(query(in, RecordCodec.of(NamespaceQuery.class).decode(query)));
  }

  /** Answers a query that is not encoded. */
  public NamespaceAnswer query(SortedMap.View in, NamespaceQuery query) {
    return machine.query(in, query);
  }
}
