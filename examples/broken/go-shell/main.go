package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func main() {
	diff, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	client := openai.NewClient(option.WithBaseURL("https://api.openai.com"))
	answer, err := client.Responses.New(context.Background(), responses.ResponseNewParams{
		Model:        "gpt-6-luna",
		Instructions: openai.String("Write a commit message for this diff."),
		Input:        responses.ResponseNewParamsInputUnion{OfString: openai.String(string(diff))},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.OutputText())
}
