// Package chat sends one request to an OpenAI-compatible API.
//
// [Client.Complete] makes exactly one attempt; repeating, waiting and giving up are the dispatcher's business. What an answer
// means to it is told by package api.
package chat
