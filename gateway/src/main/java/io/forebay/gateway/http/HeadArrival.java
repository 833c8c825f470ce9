package io.forebay.gateway.http;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;

/**
 * Tells a connection that bytes have come, before they are parsed: the parser says nothing until a
 * head is whole, and a head may only take so long.
 */
final class HeadArrival extends ChannelInboundHandlerAdapter {
  private final Connection connection;

  HeadArrival(Connection connection) {
    this.connection = connection;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    connection.bytesCame();
    ctx.fireChannelRead(message);
  }
}
